"""The recall meter against exact arithmetic, on data whose losses are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from searchapp import access
from searchapp.engine import FloatArray
from searchapp.errors import InvalidInput, Unavailable
from searchapp.evaluation import probes as probes_module
from searchapp.evaluation.exact import Truth, truth_get
from searchapp.evaluation.probes import FRAGMENT, JUDGED, TURNED, Probe, probes_get, turn
from searchapp.evaluation.recall import advice, recall_figures, recall_latest, recall_measure
from searchapp.indexing import index_drop
from searchapp.models import Index, Measurement, Page
from searchapp.models.indexes import index_active
from searchapp.models.literals import bits_literal, vector_literal
from searchapp.search.stages.vectors import lanes_search
from searchapp.search.types import Scope
from tests.app.conftest import People, drain, ingested, pdf_make, upload

pytestmark = pytest.mark.django_db
D = 1536


def unit(vectors: Any) -> FloatArray:
    rows = np.asarray(vectors, np.float32)
    scaled: FloatArray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return scaled


def stored(people: People, vectors: FloatArray, units: int = 1) -> list[int]:
    """Pages of `units` vectors each, as if they had been embedded; their ids in order."""
    document = upload(people, pdf_make(["none"]), "vectors.pdf")
    pages = Page.objects.bulk_create(
        Page(document=document, number=number + 1, step="done", state="done")
        for number in range(len(vectors) // units)
    )
    index = index_active()
    rows = [
        (
            index.pk,
            pages[place // units].pk,
            people.collection.pk,
            place % units,
            bits_literal(vector),
            vector_literal(vector),
        )
        for place, vector in enumerate(vectors)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO searchapp_embedding (index_id, page_id, collection_id, lane, position,"
            " bits, vec) VALUES (%s, %s, %s, 'text', %s, %s::varbit, %s::halfvec)",
            rows,
        )
    return [page.pk for page in pages]


def best_pages(vectors: FloatArray, units: int, query: FloatArray, limit: int) -> list[int]:
    """Places of the best pages, by brute force over the floats as they are stored."""
    scores = vectors.astype(np.float16).astype(np.float32) @ query
    return list(np.argsort(-scores.reshape(-1, units).max(axis=1), kind="stable")[:limit])


def measured(index: Index, queries: FloatArray, **bounds: Any) -> dict[str, Any]:
    probes = [Probe(TURNED, query) for query in queries]
    options: dict[str, Any] = {"limit": 10, "curve": (1, 4, 16), "seconds": 60.0} | bounds
    found: dict[str, Any] = recall_figures(index, probes, **options)["lanes"]["text"]
    return found


def test_truth_is_that_of_brute_force(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks smaller than the set, with pages of several units."""
    monkeypatch.setattr("searchapp.evaluation.exact._BLOCK", 64)
    rng = np.random.default_rng(1)
    alike = np.repeat(rng.normal(size=(200, D)), 3, axis=0)
    vectors = unit(alike + rng.normal(scale=0.3, size=(600, D)))
    ids = stored(people, vectors, units=3)
    queries = unit(rng.normal(size=(5, D)) + vectors[:5])
    truth = truth_get(index_active(), "text", queries, limit=10, seconds=60)
    assert truth.rows == 600
    for query, pages, scores in zip(queries, truth.pages, truth.scores, strict=True):
        assert list(pages) == [ids[place] for place in best_pages(vectors, 3, query, 10)]
        assert list(scores) == sorted(scores, reverse=True)
    assert truth_get(index_active(), "image", queries, limit=10, seconds=60).rows == 0


def test_recall_is_that_of_the_searches(people: People) -> None:
    """Random directions are hard for sign bits: what is lost is counted by hand beside it."""
    rng = np.random.default_rng(2)
    vectors = unit(rng.normal(size=(800, D)))
    ids = stored(people, vectors)
    queries = unit(rng.normal(size=(6, D)))
    figures = measured(index_active(), queries)
    assert figures["units"] == 800
    for row in figures["settings"]:
        by_hand = []
        for query in queries:
            wanted = {ids[place] for place in best_pages(vectors, 1, query, 10)}
            answer = lanes_search(
                index_active(),
                {"text": query},
                Scope(None),
                pages=30,
                oversampling=row["oversampling"],
            )
            found = {hit.page_id for hit in answer.hits["text"][:10]}
            by_hand.append(len(found & wanted) / 10)
        assert row["recall"] == pytest.approx(np.mean(by_hand), abs=1e-4)
        assert row["bits_loss"] == pytest.approx(1 - row["recall"], abs=1e-4)
        assert row["compared"] == 6
        assert row["interval"][0] <= row["recall"] <= row["interval"][1]
    recalls = [row["recall"] for row in figures["settings"]]
    assert recalls[0] < recalls[-1]


def misleading(count: int) -> tuple[FloatArray, FloatArray]:
    """(query, vectors): the last two answer, though nearly all their signs differ from the query's;
    the others lie opposite, with nearly all its signs."""
    query = np.full(D, 0.0036, np.float32)
    query[:8] = 0.35
    answer, decoy = -query, query.copy()
    answer[:8], decoy[:8] = query[:8], -query[:8]
    rows = np.stack([decoy] * count + [answer] * 2)
    rows += np.random.default_rng(3).normal(scale=1e-4, size=rows.shape)
    return unit(query), unit(rows)


def test_signs_that_mislead_show_as_loss_of_the_bits(people: People) -> None:
    query, vectors = misleading(60)
    stored(people, vectors)
    figures = measured(index_active(), query[None], limit=1, curve=(1, 4, 16, 50))
    rows = {row["oversampling"]: row for row in figures["settings"]}
    # 48 candidates are decoys all; 150 are everything.
    assert (rows[16]["recall"], rows[16]["bits_loss"], rows[16]["hnsw_loss"]) == (0, 1, 0)
    assert (rows[50]["recall"], rows[50]["bits_loss"]) == (1, 0)
    told = {"oversampling": 4, "lanes": {"text": figures}}
    assert "ask with oversampling 50" in advice(told)
    short = {"oversampling": 4, "lanes": {"text": figures | {"settings": figures["settings"][:3]}}}
    assert "larger dimension" in advice(short)


def test_copies_of_a_page_are_as_right_as_the_page(people: People) -> None:
    vectors = np.repeat(unit(np.random.default_rng(4).normal(size=(3, D))), 20, axis=0)
    stored(people, vectors)
    figures = measured(index_active(), vectors[[0, 20, 40]], limit=5, curve=(1, 4))
    assert [row["recall"] for row in figures["settings"]] == [1.0, 1.0]
    truth = Truth(pages=((1, 2),), scores=((0.9, 0.8),), rows=3)
    assert truth.is_right(0, 77, 0.8)
    assert not truth.is_right(0, 77, 0.79)


def test_loss_of_the_graph_is_told_apart(people: People) -> None:
    """A graph of two neighbours a node, found in four steps, does not lead everywhere."""
    rng = np.random.default_rng(5)
    vectors = unit(rng.normal(size=(500, D)))
    stored(people, vectors)
    index = index_active()
    near = unit(vectors[:60] + 0.5 * unit(rng.normal(size=(60, D))))
    sound = measured(index, near, limit=1, curve=(4,))["settings"][0]
    assert (sound["recall"], sound["bits_loss"], sound["hnsw_loss"]) == (1, 0, 0)
    name = f"searchapp_embedding_{index.pk}"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {name}_bits_text")
        cursor.execute(
            f"CREATE INDEX {name}_bits_text ON {name} USING hnsw ((bits::bit({D}))"
            " bit_hamming_ops) WITH (m = 2, ef_construction = 4) WHERE lane = 'text'"
        )
    poor = measured(index, near, limit=1, curve=(4,))["settings"][0]
    # So few rows are compared one by one: what the graph would lose is told, not suffered.
    assert (poor["recall"], poor["bits_loss"], poor["method"]) == (1, 0, "exact")
    assert poor["hnsw_loss"] > 0


def test_an_exact_scan_without_time_is_unavailable(people: People) -> None:
    vectors = unit(np.random.default_rng(6).normal(size=(500, D)))
    stored(people, vectors)
    with pytest.raises(Unavailable) as caught:
        truth_get(index_active(), "text", vectors[:1], limit=10, seconds=0.001)
    assert caught.value.code == "recall_timeout"
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "0"


# --- what is asked ---------------------------------------------------------------------------


def test_turned_vectors_have_the_cosine_that_is_said() -> None:
    rng = np.random.default_rng(8)
    vector = unit(rng.normal(size=D))
    turned = turn(vector, 0.8, rng)
    assert np.linalg.norm(turned) == pytest.approx(1, abs=1e-5)
    assert float(turned @ vector) == pytest.approx(0.8, abs=1e-5)


def test_probes_say_where_they_are_from(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    from searchapp import engine, judging

    document = ingested(people, pdf_make(), "report.pdf")
    judging.judgement_set(
        actor=access.SYSTEM,
        parts=(engine.TextPart("how much holiday is there"),),
        page_id=document.pages.get(number=2).pk,
        is_relevant=True,
    )
    found = probes_get(index_active(), 10, seed=7)
    # One judged query, three pages with text, three vectors to turn.
    sources = [probe.source for probe in found]
    assert [sources.count(s) for s in (JUDGED, FRAGMENT, TURNED)] == [1, 3, 3]
    again = probes_get(index_active(), 10, seed=7)
    assert all(np.array_equal(a.vector, b.vector) for a, b in zip(found, again, strict=True))
    assert probes_module.TURNED_COSINE == 0.8


def test_nothing_to_measure_and_bounds(people: People) -> None:
    with pytest.raises(InvalidInput) as caught:
        recall_measure()
    assert caught.value.code == "nothing_to_measure"
    for bad in ({"queries": 0}, {"limit": 1000}, {"curve": (0,)}, {"curve": (1, 99)}):
        with pytest.raises(InvalidInput):
            recall_measure(**bad)


# --- where it is shown -----------------------------------------------------------------------


def test_command_prints_keeps_and_writes(
    people: People, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingested(people, pdf_make(), "report.pdf")
    target = tmp_path / "recall.json"
    call_command("recall", "--queries", "4", "--oversampling", "1", "2", "--json", str(target))
    figures = json.loads(target.read_text())
    rows = figures["lanes"]["text"]["settings"]
    # The present oversampling is measured even when it is not named.
    assert [row["oversampling"] for row in rows] == [1, 2, 4]
    assert all(row["recall"] == 1 for row in rows)
    out = capsys.readouterr().out
    assert "lane text, 3 vectors" in out
    assert "nothing needs to change" in out
    kept = recall_latest(index_active())
    assert kept is not None
    assert kept.figures == figures


def test_api_tells_administrators_only(people: People) -> None:
    url = "/api/v1/meters/recall"
    assert people.client("root").get(url).json()["code"] == "not_measured"
    Measurement.objects.create(
        index=index_active(),
        figures={"limit": 10, "oversampling": 4, "queries": {}, "lanes": {}, "advice": "Fine."},
    )
    body = people.client("root").get(url).json()
    assert (body["advice"], body["index"]) == ("Fine.", index_active().pk)
    for name in ("alice", "bob", "charlie"):
        assert people.client(name).get(url).status_code == 404
    assert Client().get(url).status_code == 401
    narrow = access.apikey_create(name="robot", user=people.root, scopes=("upload",))
    refused = Client().get(url, HTTP_AUTHORIZATION=f"Bearer {narrow}")
    assert refused.status_code == 403


def test_uploads_go_on_beside(people: People) -> None:
    upload(people, pdf_make(), "report.pdf")
    drain()
    assert recall_measure(queries=2).figures["lanes"]["text"]["units"] == 3


def test_an_index_that_was_measured_can_be_dropped(people: People) -> None:
    active = index_active()
    old = Index.objects.create(model="old", revision="1", dimension=D, state="retired")
    Measurement.objects.create(index=old, figures={})
    Measurement.objects.create(index=active, figures={})
    index_drop(old)
    assert [found.index for found in Measurement.objects.all()] == [active]
