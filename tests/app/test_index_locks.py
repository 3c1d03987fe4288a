"""Indexes are made, switched and dropped beside long reads and uploads: nobody waits for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext

from searchapp import engine, indexing
from searchapp.errors import InvalidInput, Unavailable
from searchapp.indexing import indexes, partitions, pending
from searchapp.models import Document, Index, Measurement, PendingPage
from searchapp.models.indexes import index_active
from tests.app.conftest import People, ingested, pdf_make

pytestmark = pytest.mark.django_db(transaction=True)

KEY_SHARE = "SELECT id FROM searchapp_index ORDER BY id FOR KEY SHARE NOWAIT"


@pytest.fixture
def report(people: People, monkeypatch: pytest.MonkeyPatch) -> Document:
    monkeypatch.setattr(partitions, "_LOCK_WAIT_MS", 200)
    monkeypatch.setattr(partitions, "_TRIES", 1)
    return ingested(people, pdf_make(), "report.pdf")


@contextmanager
def beside(*statements: str) -> Iterator[CursorWrapper]:
    """Another connection, in a transaction that has done this; ours waits for no lock."""
    other = connection.copy()
    other.settings_dict["OPTIONS"].pop("pool", None)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 2000")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            yield cursor
    finally:
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = DEFAULT")


def build() -> Index:
    return indexing.index_build(indexing.space_get(engine.ModelSource("fake"), None))


READING = "SELECT count(*) FROM searchapp_embedding"
# What the storing of a page holds when its rows of work are added.
STORING = (
    "SELECT FROM searchapp_index FOR KEY SHARE",
    "DELETE FROM searchapp_embedding WHERE false",
)


@pytest.mark.parametrize("statements", [(READING,), STORING])
def test_a_build_begins_beside_reads_and_uploads(
    report: Document, statements: tuple[str, ...]
) -> None:
    with beside(*statements):
        index = build()
    assert (index.state, indexing.index_progress(index).missing) == ("building", 3)


def test_nothing_is_locked_while_the_work_is_listed(
    report: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looking(index: Index) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relation::regclass::text, mode FROM pg_locks "
                "WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation IN "
                "('searchapp_embedding'::regclass, 'searchapp_page'::regclass)"
            )
            assert cursor.fetchall() == []
        with beside(KEY_SHARE, "SELECT FROM searchapp_index WHERE state = 'active' FOR SHARE"):
            return pending.pending_fill(index)

    monkeypatch.setattr(indexes, "pending_fill", looking)
    assert indexing.index_progress(build()).missing == 3


def test_a_build_that_was_cut_off_before_its_work_was_listed(
    report: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(index: Index) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(indexes, "pending_fill", killed)
        build()
    index = Index.objects.get(state="starting")
    assert not indexing.is_work_left()
    said = StringIO()
    call_command("index", "list", stdout=said)
    assert "starting  0 of 3" in said.getvalue()
    with pytest.raises(InvalidInput, match="3 of 3 pages are missing"):
        indexing.index_activate(index, is_forced=True)
    with pytest.raises(InvalidInput, match="nothing to keep"):
        indexing.index_retire(index)
    assert build() == index
    index.refresh_from_db()
    assert (index.state, PendingPage.objects.filter(index=index).count()) == ("building", 3)


def test_a_switch_beside_uploads(report: Document) -> None:
    """Whoever stores a page holds key shares of all the other indexes."""
    old, new = index_active(), build()
    while indexing.embed_next():
        pass
    indexing.index_finish(new)
    with beside(f"SELECT FROM searchapp_index WHERE id = {new.pk} FOR KEY SHARE"):
        indexing.index_activate(new)
    with beside(f"SELECT FROM searchapp_index WHERE id = {old.pk} FOR KEY SHARE"):
        indexing.index_activate(old)
    assert index_active() == old


@pytest.mark.parametrize("statements", [(READING,), STORING])
def test_a_drop_makes_way(
    report: Document, statements: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build()
    monkeypatch.setattr("searchapp.management.commands.index._DROP_S", 0)
    with beside(*statements), pytest.raises(CommandError, match="try again when it is over"):
        call_command("index", "retire", str(index.pk), "--drop", stdout=StringIO())
    Measurement.objects.create(index=index, figures={})
    call_command("index", "retire", str(index.pk), "--drop", stdout=StringIO())
    assert list(Index.objects.all()) == [index_active()]


def test_a_drop_waits_for_the_table_with_no_row_in_hand(
    report: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads lock the table, then the row: the other way round both would wait for ever."""
    index = build()

    def looking(index: Index) -> None:
        with beside(KEY_SHARE), pytest.raises(Unavailable), beside(READING):
            partitions.partition_drop(index)
        partitions.partition_drop(index)

    monkeypatch.setattr(indexes, "partition_drop", looking)
    indexing.index_drop(index)
    assert Index.objects.count() == 1


def test_errors_of_the_database_are_a_sentence(report: Document) -> None:
    index = build()
    locked = f"SELECT FROM searchapp_index WHERE id = {index.pk} FOR UPDATE"
    says = pytest.raises(CommandError, match="The database says: canceling statement")
    with beside(locked), says:
        call_command("index", "retire", str(index.pk), "--drop", stdout=StringIO())


def test_claiming_does_not_go_through_the_backlog(report: Document) -> None:
    index = build()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO searchapp_page SELECT (jsonb_populate_record(page, jsonb_build_object("
            "'id', 1000000 + n, 'number', 1000 + n))).* "
            "FROM searchapp_page page, generate_series(1, 2000) AS n WHERE page.number = 1"
        )
        pending.pending_fill(index)
        assert PendingPage.objects.count() == 2003
        cursor.execute("ANALYZE searchapp_pendingpage")
        with CaptureQueriesContext(connection) as said:
            assert len(pending.pending_claim(16)) == 16
        claims = [one["sql"] for one in said if one["sql"].lstrip().startswith("UPDATE")]
        assert len(claims) == 2  # the active index lacks nothing
        for claim in claims:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + claim)
            [[[found]]] = cursor.fetchall()
            assert max(_rows(found["Plan"])) <= 100


def _rows(node: dict[str, Any]) -> Iterator[float]:
    """How many each step of the plan has read."""
    yield node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    for below in node.get("Plans", ()):
        yield from _rows(below)
