"""The demo set in the running product: loaded by the command, found by its own sample queries."""

import pytest

from searchapp.demo.queries import DEMO_QUERIES
from tests.product.api_client import ApiClient, api_client, command
from tests.stack import RunningStack, wait_until

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> ApiClient:
    return api_client(stack, "demo")


def test_demo_is_loaded_found_and_removed(stack: RunningStack, client: ApiClient) -> None:
    def documents(**bounds: str) -> int:
        answer = client.http.get("/documents", params={"collection": "demo", **bounds})
        return int(answer.json()["total"])

    assert "demo files uploaded" in command(stack, "demo_load")
    wait_until(lambda: documents(status="ready") == documents() == 20, 180, "the demo is ready")
    ranks = [_rank(client, query.text, query.filename, query.page) for query in DEMO_QUERIES]
    late = [(query.text, n) for query, n in zip(DEMO_QUERIES, ranks, strict=True) if n > 1]
    assert all(rank <= 10 for rank in ranks), late
    assert sum(rank == 1 for rank in ranks) >= len(ranks) - 2, late
    assert "20 demo documents removed" in command(stack, "demo_remove")
    answer = client.http.get("/documents", params={"collection": "demo"})
    assert answer.status_code == 422


def _rank(client: ApiClient, text: str, filename: str, page: int) -> int:
    """Rank of the expected page, 99 when it is not among the first ten."""
    for hit in client.search(text, filters={"collections": ["demo"]}):
        if (hit["page"]["document"]["filename"], hit["page"]["number"]) == (filename, page):
            return int(hit["rank"])
    return 99
