"""A second index is built beside the live one: whole, resumable, with what comes meanwhile."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count
from django.utils import timezone
from pytest_django import Settings

from searchapp import engine, indexing, ingest, jobs, library
from searchapp.access import SYSTEM, Actor
from searchapp.environment import PROJECT_DIR
from searchapp.errors import InvalidInput, NotFound, Unavailable
from searchapp.indexing import pending
from searchapp.indexing.hnsw import hnsw_lacks
from searchapp.indexing.vectors import pages_embed
from searchapp.management.commands import engine as engine_command
from searchapp.models import Document, Embedding, Index, Page, PendingPage
from searchapp.models.indexes import index_active
from searchapp.search.query import text_query
from searchapp.search.search import search_pages
from searchapp.services.addresses import embedded_database_url
from tests.app.conftest import People, drain, index_switch, ingested, pdf_make, upload

pytestmark = pytest.mark.django_db(transaction=True)

FAKE = engine.ModelSource("fake")


def build(source: engine.ModelSource = FAKE, dimension: int | None = None) -> Index:
    return indexing.index_build(indexing.space_get(source, dimension))


def complete(index: Index) -> Index:
    drain()
    assert indexing.index_finish(index)
    return index


def pages_of(index: Index) -> set[int]:
    return set(Embedding.objects.filter(index=index).values_list("page_id", flat=True))


def all_pages() -> set[int]:
    return set(Page.objects.values_list("pk", flat=True))


def asked(text: str = "turbine blades", **options: object) -> tuple[int, int]:
    """Which index answered, and the number of the first page."""
    found = search_pages(actor=SYSTEM, query=text_query(text), **options)  # type: ignore[arg-type]
    return int(str(found.index["id"])), found.hits[0].page.number


@pytest.fixture
def report(people: People) -> Document:
    return ingested(people, pdf_make(), "report.pdf")


def test_the_live_index_answers_until_the_new_one_is_activated(report: Document) -> None:
    live = index_active()
    index = build()
    progress = indexing.index_progress(index)
    assert (progress.pages, progress.missing, progress.has_hnsw) == (3, 3, False)
    assert "text" in hnsw_lacks(index)
    assert asked() == (live.pk, 1)
    complete(index)
    progress = indexing.index_progress(index)
    assert (progress.missing, progress.has_hnsw, progress.is_complete) == (0, True, True)
    assert (asked(), asked(index=index)) == ((live.pk, 1), (index.pk, 1))
    indexing.index_activate(index)
    live.refresh_from_db()
    assert (live.state, live.retired_at is not None) == ("retired", True)
    assert (asked(), asked(index=live)) == ((index.pk, 1), (live.pk, 1))
    assert pages_of(index) == pages_of(live) == all_pages()
    report.refresh_from_db()
    assert report.status == "ready"


def test_another_dimension_of_the_same_model(report: Document) -> None:
    index = index_switch("builtin", dimension=512)
    assert (index.dimension, asked()) == (512, (index.pk, 1))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT length(bits), vector_dims(vec) FROM searchapp_embedding "
            "WHERE index_id = %s",
            [index.pk],
        )
        assert cursor.fetchall() == [(512, 512)]


def test_the_same_model_again_when_pages_are_cut_in_another_way(report: Document) -> None:
    live, space = index_active(), index_active().space
    again = complete(indexing.index_build(space, is_new=True))
    indexing.index_activate(again)
    assert (again.pk != live.pk, again.space) == (True, space)
    assert pages_of(again) == pages_of(live)
    assert asked() == (again.pk, 1)
    assert indexing.index_build(space) == live  # to be caught up, for going back


def test_uploads_during_a_build_land_in_both(people: People, report: Document) -> None:
    live, index = index_active(), build()
    assert indexing.build_next()
    ingested(people, pdf_make(["While it is built."]), "during.pdf")
    complete(index)
    ingested(people, pdf_make(["When it waits to be activated."]), "after.pdf")
    assert PendingPage.objects.count() == 0
    assert pages_of(live) == pages_of(index) == all_pages()
    assert len(all_pages()) == 5


def test_new_pages_come_before_those_of_a_build(people: People, report: Document) -> None:
    index = build()
    upload(people, pdf_make(["new"]), "new.pdf")
    ingest.render_next()
    assert indexing.embed_next()
    assert Page.objects.filter(step="done").count() == 4
    assert indexing.index_progress(index).missing == 4
    assert indexing.embed_next()
    assert indexing.index_progress(index).missing == 0
    assert not indexing.embed_next()


def test_a_page_that_was_embedded_for_the_index_before_a_switch_is_embedded_again(
    people: People, report: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch comes between the model's answer and the write."""
    index, embed = complete(build()), pages_embed

    def switching(pages: list[Page], space: engine.VectorSpace) -> object:
        found = embed(pages, space)
        if index_active() != index:
            indexing.index_activate(index)
        return found

    monkeypatch.setattr("searchapp.indexing.embedding.pages_embed", switching)
    document = upload(people, pdf_make(["Between two models."]), "between.pdf")
    assert ingest.render_next()
    assert indexing.embed_next()
    assert index_active() == index
    # It is not called searchable before the active index has it.
    assert list(document.pages.values_list("step", "state")) == [("embed", "waiting")]
    drain()
    document.refresh_from_db()
    assert document.status == "ready"
    assert pages_of(index) == all_pages()
    assert asked("between two models")[0] == index.pk


def test_what_was_cut_off_goes_on_where_it_was(report: Document) -> None:
    copies(report, 100)
    index = build()
    before = index_active()
    process = build_process()
    try:
        wait_until(lambda: 0 < indexing.index_progress(index).missing < 100)
    finally:
        process.kill()
        process.wait()
    left = indexing.index_progress(index).missing
    assert 0 < left < 100
    kept = dict(Embedding.objects.filter(index=index).values_list("page_id").annotate(n=Count("*")))
    assert len(kept) == 100 - left
    assert asked()[0] == before.pk
    said = StringIO()
    call_command("index", "build", "--model", "fake", stdout=said)
    assert f"Complete. To switch: manage.py index activate {index.pk}" in said.getvalue()
    assert Index.objects.count() == 2
    assert pages_of(index) == all_pages()
    counts = Embedding.objects.filter(index=index, lane="text").values("page_id")
    assert set(counts.annotate(n=Count("*")).values_list("n", flat=True)) == {1}


def copies(document: Document, count: int) -> None:
    """More pages of the document that are searchable, made of its first."""
    first = document.pages.get(number=1)
    Page.objects.bulk_create(
        Page(document=document, number=n, text=f"{first.text} {n}", step="done", state="done")
        for n in range(4, count + 1)
    )


def build_process() -> subprocess.Popen[bytes]:
    """`manage.py index build` as somebody types it, on this test's database."""
    name = connection.settings_dict["NAME"]
    data_dir = Path(os.environ["DATA_DIR"])
    return subprocess.Popen(
        [sys.executable, "manage.py", "index", "build", "--model", "fake"],
        cwd=PROJECT_DIR,
        env={**os.environ, "DATABASE_URL": embedded_database_url(data_dir, name)},
        stdout=subprocess.DEVNULL,
    )


def wait_until(is_true: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_a_dead_worker_held_is_free_again(report: Document) -> None:
    build()
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert len(pending.pending_claim(16)) == 3
    PendingPage.objects.update(worker=f"{jobs.worker_name().rpartition(':')[0]}:{gone.pid}")
    assert not indexing.is_work_left()
    assert indexing.pending_take_back() == 3
    assert indexing.is_work_left()
    assert indexing.build_next()
    assert PendingPage.objects.count() == 0


def test_a_claim_that_was_lost_writes_nothing(
    report: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, embed = build(), pages_embed

    def robbed(pages: list[Page], space: engine.VectorSpace) -> object:
        PendingPage.objects.update(worker="another:1")
        return embed(pages, space)

    monkeypatch.setattr("searchapp.indexing.building.pages_embed", robbed)
    indexing.build_next()
    assert not pages_of(index)
    assert PendingPage.objects.count() == 3


def test_a_page_that_the_new_model_cannot_embed_is_told(report: Document) -> None:
    index = build()
    default_storage.delete(report.pages.get(number=2).image)
    for _ in range(jobs.MAX_ATTEMPTS):
        drain()
        PendingPage.objects.update(not_before=None)
    assert indexing.index_finish(index)
    progress = indexing.index_progress(index)
    assert (progress.missing, progress.failed) == (1, 1)
    with pytest.raises(InvalidInput, match="1 of 3 pages are missing, 1 of them failed") as caught:
        indexing.index_activate(index)
    assert caught.value.code == "index_incomplete"
    indexing.index_activate(index, is_forced=True)
    assert asked()[0] == index.pk
    report.refresh_from_db()
    assert report.status == "ready"


def test_a_deleted_document_is_gone_from_all(people: People, report: Document) -> None:
    index = build()
    indexing.build_next()
    ingested(people, pdf_make(["other"]), "other.pdf")
    PendingPage.objects.create(index=index, page=report.pages.get(number=1))
    library.document_delete(actor=Actor.from_user(people.alice), document=report)
    assert PendingPage.objects.count() == 0
    assert pages_of(index) == pages_of(index_active()) == all_pages()
    assert len(all_pages()) == 1


def test_an_index_is_activated_only_when_it_is_whole(report: Document) -> None:
    live, index = index_active(), build()
    with pytest.raises(InvalidInput, match="3 of 3 pages are missing; its HNSW") as caught:
        indexing.index_activate(index)
    assert caught.value.code == "index_incomplete"
    drain()
    for is_forced in (False, True):
        with pytest.raises(InvalidInput, match="HNSW index is not made yet"):
            indexing.index_activate(index, is_forced=is_forced)
    indexing.index_finish(index)
    indexing.index_activate(index)
    with pytest.raises(InvalidInput, match="active index already"):
        indexing.index_activate(index)
    live.refresh_from_db()
    assert index_active() == index


def test_an_hnsw_index_whose_making_was_cut_off_is_made_anew(report: Document) -> None:
    index = complete(build())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)",
            [f"searchapp_embedding_{index.pk}_bits_text"],
        )
    assert hnsw_lacks(index) == ["text"]
    with pytest.raises(InvalidInput, match="HNSW"):
        indexing.index_activate(index)
    assert indexing.index_finish(index)
    assert hnsw_lacks(index) == []


def test_a_worker_makes_the_hnsw_index_when_nobody_waits_for_it(report: Document) -> None:
    index = build()
    indexing.finish_beside()
    drain()
    assert indexing.is_work_left()  # should the worker that makes it be killed
    indexing.finish_beside()
    wait_until(lambda: not hnsw_lacks(index))
    assert not indexing.is_work_left()


def test_a_model_that_does_not_answer_is_not_switched_to(
    report: Document, settings: Settings
) -> None:
    index, live = complete(build()), index_active()
    settings.EMBEDDING_INPROCESS, settings.ENGINE_URL = False, "http://127.0.0.1:9"
    with pytest.raises(Unavailable):
        indexing.index_activate(index)
    assert index_active() == live


def test_going_back_is_one_command_and_misses_nothing(people: People, report: Document) -> None:
    old, new = index_active(), index_switch("fake")
    ingested(people, pdf_make(["Uploaded after the switch."]), "later.pdf")
    assert indexing.index_progress(old).missing == 1
    with pytest.raises(InvalidInput, match="1 of 4 pages are missing"):
        indexing.index_activate(old)
    said = StringIO()
    call_command("index", "activate", str(old.pk), stdout=said)
    assert f"Active index: {old}" in said.getvalue()
    assert index_active() == old
    assert pages_of(old) == pages_of(new) == all_pages()
    assert asked("uploaded after the switch")[0] == old.pk


def test_back_at_once_and_the_rest_later(people: People, report: Document) -> None:
    old = index_active()
    index_switch("fake")
    ingested(people, pdf_make(["Uploaded after the switch."]), "later.pdf")
    said = StringIO()
    call_command("index", "activate", str(old.pk), "--force", stdout=said)
    assert "1 pages are missing; the workers embed them now" in said.getvalue()
    drain()
    assert pages_of(old) == all_pages()


def test_an_index_that_is_dropped_is_gone_whole(report: Document) -> None:
    live, old = index_active(), complete(build())
    with pytest.raises(InvalidInput, match="activate another first") as caught:
        indexing.index_drop(live)
    assert caught.value.code == "index_active"
    indexing.index_retire(old)
    assert old.state == "retired"
    indexing.index_drop(old)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"searchapp_embedding_{old.pk}"])
        assert cursor.fetchone() == (None,)
    assert list(Index.objects.all()) == [live]
    assert asked() == (live.pk, 1)
    with pytest.raises(NotFound):
        indexing.index_get(old.pk)


def test_what_searches_may_still_ask_is_not_dropped(report: Document) -> None:
    old = index_active()
    index_switch("fake")
    old.refresh_from_db()
    with pytest.raises(Unavailable, match="may still ask") as caught:
        indexing.index_drop(old)
    assert caught.value.code == "index_in_use"
    Index.objects.filter(pk=old.pk).update(retired_at=timezone.now() - timedelta(minutes=2))
    call_command("index", "retire", str(old.pk), "--drop", stdout=StringIO())
    assert Index.objects.count() == 1


def test_an_engine_starts_with_the_models_of_the_indexes(report: Document) -> None:
    assert engine_command._sources() == [engine.ModelSource("builtin")]
    build()
    assert [source.model for source in engine_command._sources()] == ["builtin", "fake"]
    index_switch("fake")
    assert [source.model for source in engine_command._sources()] == ["fake"]
    Index.objects.update(state="retired")
    assert engine_command._sources() == [engine.configured()]


def test_rights_hold_in_every_index(people: People, report: Document) -> None:
    index = complete(build())
    query = text_query("turbine")
    for person, count in ((people.bob, 3), (people.charlie, 0)):
        answer = search_pages(actor=Actor.from_user(person), query=query, index=index)
        assert (len(answer.hits), answer.index["id"]) == (count, index.pk)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("build", "--dimension", "7"), "no vectors of 7 dimensions"),
        (("build",), "is the active index"),
        (("build", "--model", "no/such/place"), "is not registered"),
        (("activate", "987654"), "There is no index 987654"),
        (("retire", "987654", "--drop"), "There is no index 987654"),
        (("compare", "987654", "1"), "There is no index 987654"),
    ],
)
def test_the_command_says_what_is_wrong(
    people: People, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("index", *arguments, stdout=StringIO())


def test_the_list_tells_how_far_each_is(report: Document) -> None:
    index = build()
    said = StringIO()
    call_command("index", "list", stdout=said)
    [_, first, second] = said.getvalue().splitlines()
    assert first.endswith("1536 active    all 3")
    assert second.split()[0] == str(index.pk)
    assert second.endswith("building  0 of 3, without HNSW index")


def test_the_rate_of_a_build_tells_when_it_ends(
    report: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies(report, 40)
    index = build()
    monkeypatch.setattr("searchapp.indexing.building._SAMPLE", timedelta(0))
    assert indexing.index_progress(index).seconds_left is None
    indexing.build_next()
    indexing.build_next()
    index.refresh_from_db()
    progress = indexing.index_progress(index)
    assert (progress.missing, index.sampled_missing) == (8, 8)
    assert index.pages_per_s is not None
    assert progress.seconds_left == pytest.approx(8 / index.pages_per_s)
