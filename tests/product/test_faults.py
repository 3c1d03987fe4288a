"""Killed processes in the middle of a 40-page upload: every page ends exactly once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from searchapp.environment import environment_read
from searchapp.services.addresses import addresses_get
from tests.app.conftest import pdf_make
from tests.product.api_client import ApiClient, api_client
from tests.stack import RunningStack, stack_running, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.long]

PAGES = 40


@pytest.fixture(scope="module")
def quick_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The product with short leases, so that lost work comes back within seconds."""
    folder = tmp_path_factory.mktemp("faults") / "data"
    with stack_running(folder, LEASE_SECONDS="6", SWEEP_SECONDS="2") as running:
        yield running


@pytest.fixture(scope="module")
def client(quick_stack: RunningStack) -> ApiClient:
    return api_client(quick_stack, "faults")


def book_make(title: str) -> bytes:
    """PAGES pages of distinct text."""
    line = "The keeper of {title} walks up stair {i} and counts the ships on the horizon. "
    return pdf_make([line.format(title=title, i=i) * 6 for i in range(PAGES)])


def units_by_page(data_dir: Path, document_id: int) -> dict[int, list[int]]:
    """Positions of the text units of every page of a document, by page number, from the rows."""
    url = addresses_get(environment_read({"DATA_DIR": str(data_dir)}), data_dir).database_url
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT p.number, array_agg(e.position ORDER BY e.position) FROM searchapp_page p"
            " LEFT JOIN searchapp_embedding e ON e.page_id = p.id AND e.lane = 'text'"
            " WHERE p.document_id = %s GROUP BY p.id, p.number ORDER BY p.number",
            [document_id],
        ).fetchall()
    return dict(rows)


def assert_whole(stack: RunningStack, client: ApiClient, document_id: int) -> None:
    document = client.wait(document_id, seconds=180)
    assert (document["status"], document["page_count"]) == ("ready", PAGES), document
    assert client.page_numbers(document_id) == list(range(1, PAGES + 1))
    units = units_by_page(stack.data_dir, document_id)
    assert list(units) == list(range(1, PAGES + 1))
    assert all(positions == list(range(len(positions))) for positions in units.values())
    assert all(positions for positions in units.values())


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("render", "rendered"),
        ("render child", "rendered"),
        ("embed", "embedded"),
        ("engine", "embedded"),
        ("beat", "rendered"),
        ("redis", "rendered"),
        ("web", "rendered"),
    ],
)
def test_kill_in_the_middle_ends_with_each_page_once(
    quick_stack: RunningStack, client: ApiClient, name: str, step: str
) -> None:
    slug = client.collection(f"kill-{name.replace(' ', '-')}")
    answer = client.upload(slug, f"{name}.pdf", book_make(name))
    document_id = answer.json()["id"]

    def is_halfway() -> bool:
        return bool(client.document(document_id)["progress"][step] >= 1)

    wait_until(is_halfway, 60, f"{step} begins")
    if name == "render child":
        _kill_children(quick_stack.pids()["render"])
    else:
        killed = quick_stack.kill(name)
        wait_until(lambda: quick_stack.pids().get(name) not in {None, killed}, 60, "it is back")
    if name == "web":
        wait_until(lambda: _answers(client), 60, "web answers")
    assert_whole(quick_stack, client, document_id)


def _kill_children(parent: int) -> None:
    """kill -9 of all processes of the pool, the one that renders among them."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert children
    for child in children:
        os.kill(int(child), signal.SIGKILL)


def _answers(client: ApiClient) -> bool:
    try:
        return client.http.get("/collections").status_code == 200
    except OSError:
        return False
    except Exception as error:  # httpx's own connection errors
        return not error.__class__.__module__.startswith("httpx")
