"""Judged queries: read from files, saved by people, asked of the real search, compared."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from pytest_django import Settings

from searchapp import engine, indexing, judging
from searchapp.access import SYSTEM, Actor
from searchapp.environment import PROJECT_DIR
from searchapp.errors import InvalidInput, NotFound
from searchapp.evaluation import (
    Run,
    Setting,
    compare,
    comparison_described,
    comparison_lines,
    questions_ask,
    saved_export,
    saved_import,
    saved_questions,
    setting_read,
)
from searchapp.evaluation.comparison import bootstrap_interval, runs_compare, sign_test
from searchapp.evaluation.figures import Outcome, figures_of, report
from searchapp.evaluation.questions import Place, half_of, queries_read, queries_write
from searchapp.models import Document, Index, JudgedQuery, Judgement, Page
from searchapp.models.indexes import index_active
from tests.app.conftest import TEXTS, People, drain, ingested, pdf_make, png_make

HOLIDAY = "how much holiday do workers get"
RUST = "why are rotors looked at each year"


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    """Files of each test in a folder of its own."""
    settings.MEDIA_ROOT = tmp_path / "media"


# --- files -----------------------------------------------------------------------------------

GOOD = {"id": "1", "kind": "text", "query": "x", "relevant": [{"file": "a.pdf", "page": 1}]}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "3",
        json.dumps(GOOD | {"relevant": []}),
        json.dumps(GOOD | {"relevant": [{"file": "a.pdf"}]}),
        json.dumps(GOOD | {"relevant": [{"file": "a.pdf", "page": "one"}]}),
        json.dumps(GOOD | {"relevant": 3}),
        json.dumps(GOOD | {"query": ""}),
        json.dumps({k: v for k, v in GOOD.items() if k != "kind"}),
        json.dumps(GOOD | {"query_image": "missing.png"}),
        json.dumps(GOOD | {"query_image": "../outside.png"}),
        json.dumps(GOOD | {"query_image": "/etc/hostname"}),
        json.dumps(GOOD) + "\n" + json.dumps(GOOD),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "outside.png").write_bytes(png_make())
    path = tmp_path / "set" / "queries.jsonl"
    path.parent.mkdir()
    path.write_text(f"\n{line}\n")
    with pytest.raises(InvalidInput) as caught:
        queries_read(path)
    assert caught.value.code == "bad_query"
    assert f"line {3 if line.startswith(json.dumps(GOOD) + chr(10)) else 2}" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "code"), [(None, "no_queries"), (b"\n\n", "no_queries"), (b"\xff\xfe", "bad_query")]
)
def test_a_file_without_queries(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "queries.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        queries_read(path)
    assert caught.value.code == code


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "crop.png").write_bytes(png_make())
    row = GOOD | {
        "query": "two\u2028lines",
        "query_image": "crop.png",
        "irrelevant": [{"file": "b.pdf", "page": 2, "sha256": "ff"}],
    }
    (tmp_path / "queries.jsonl").write_text(json.dumps(row, ensure_ascii=False))
    first = queries_read(tmp_path / "queries.jsonl")
    assert first[0].irrelevant == {Place("b.pdf", 2, "ff")}
    assert queries_write(tmp_path / "a" / "copy.jsonl", first) == 1
    assert queries_read(tmp_path / "a" / "copy.jsonl") == first


def test_halves_go_by_the_document(tmp_path: Path) -> None:
    names = [f"folder/{number}.pdf" for number in range(400)]
    halves = [half_of([name]) for name in names]
    assert 150 < halves.count("A") < 250
    assert halves == [half_of([f"elsewhere/{number}.pdf"]) for number in range(400)]
    assert half_of(names) == half_of(reversed(names))


# --- figures ---------------------------------------------------------------------------------


def outcome(number: int, ranks: Sequence[int], relevant: int = 1, **more: Any) -> Outcome:
    return Outcome(str(number), more.pop("kind", "text"), tuple(ranks), relevant, 5.0, **more)


def test_figures_by_hand() -> None:
    answered = [outcome(1, [1]), outcome(2, [3, 6], relevant=3), outcome(3, [])]
    found = figures_of([*answered, outcome(4, [], relevant=0, bad=2)])
    # DCG 1/log2(4) + 1/log2(7) = 0.8562; the ideal of three is 1 + 0.6309 + 0.5 = 2.1309.
    assert found == {
        "queries": 3,
        "hit@1": 0.3333,
        "hit@5": 0.6667,
        "ndcg@10": round((1 + 0.8562072 / 2.1309298) / 3, 4),
        "mrr": round((1 + 1 / 3) / 3, 4),
        "recall@10": round((1 + 2 / 3) / 3, 4),
        "bad@10": 2,
    }
    assert figures_of([outcome(4, [], relevant=0, bad=2)]) == {"queries": 0, "bad@10": 2}


def test_report_groups_and_always_tells_both_halves() -> None:
    outcomes = [
        outcome(1, [1], language="de", file_type="deck", half="A"),
        outcome(2, [], language="en", half="B"),
        outcome(3, [2], kind="photo", half="B"),
    ]
    found = report(outcomes, half="A")
    assert set(found["kinds"]) == {"text", "all text"}
    assert found["kinds"]["text"]["queries"] == 1
    assert set(found["languages"]) == {"de"}
    assert found["halves"]["A"]["hit@1"] == 1
    assert found["halves"]["B"]["hit@1"] == 0
    assert found["halves"]["B"]["queries"] == 1
    both = report(outcomes)
    assert both["types"]["unknown"]["queries"] == 2
    assert len(both["queries"]) == 3


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1), (1, 0, 1), (5, 0, 0.0625), (0, 5, 0.0625), (9, 1, 22 / 1024), (8, 8, 1)],
)
def test_sign_test_by_hand(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p)


def test_bootstrap_interval_of_known_spread() -> None:
    assert bootstrap_interval(np.full(20, 0.25)) == (0.25, 0.25)
    # A mean of 400 fair coins of +-1 spreads by 1/20: 1.96 of that on each side.
    low, high = bootstrap_interval(np.array([1.0, -1.0] * 200))
    assert low == pytest.approx(-0.098, abs=0.01)
    assert high == pytest.approx(0.098, abs=0.01)


def run_of(ranks: Sequence[Sequence[int]], **setting: int) -> Run:
    outcomes = [outcome(number, found) for number, found in enumerate(ranks)]
    return Run(Setting(**setting), {"id": 1}, tuple(outcomes))


def test_comparison_of_known_outcomes() -> None:
    first = run_of([[2]] * 8 + [[1]] * 12, oversampling=2)
    found = runs_compare(first, run_of([[1]] * 20, oversampling=8))
    contest = found.kinds["all"]
    assert (contest.wins, contest.losses, contest.ties) == (8, 0, 12)
    # Eight times 1 - 1/log2(3), over twenty.
    assert contest.difference == pytest.approx(8 * 0.369070 / 20, abs=1e-4)
    assert contest.p == pytest.approx(2 / 256, abs=1e-6)
    assert contest.low > 0
    assert "second is better" in found.verdict
    lines = "\n".join(comparison_lines(found))
    assert "oversampling 2" in lines
    assert "8/0/12" in lines
    told = comparison_described(found)
    assert told["kinds"]["text"]["is_clear"] is True
    assert told["queries"][0]["first"]["ranks"] == [2]
    assert "first is better" in runs_compare(run_of([[1]] * 20), run_of([[2]] * 20)).verdict


def test_few_or_equal_questions_decide_nothing() -> None:
    few = runs_compare(run_of([[2]] * 4), run_of([[1]] * 4))
    assert few.kinds["all"].wins == 4
    assert "Not decided" in few.verdict
    assert "No difference" in runs_compare(run_of([[1]] * 9), run_of([[1]] * 9)).verdict
    with pytest.raises(InvalidInput):
        compare([], Setting(), Setting())


def test_settings_as_people_type_them() -> None:
    assert setting_read("oversampling=8") == Setting(oversampling=8)
    assert setting_read("index=3, oversampling=2") == Setting(oversampling=2, index=3)
    assert setting_read("") == Setting()
    for bad in ("8", "oversampling", "oversampling=x", "oversampling=-1", "lanes=3", "index=²"):
        with pytest.raises(InvalidInput):
            setting_read(bad)


pytestmark = pytest.mark.django_db

# --- saved queries ---------------------------------------------------------------------------


def judge(actor: Actor, text: str, page: Page, verdict: bool) -> None:
    parts = (engine.TextPart(text),)
    judging.judgement_set(actor=actor, parts=parts, page_id=page.pk, is_relevant=verdict)


@pytest.fixture
def report_pages(people: People) -> list[Page]:
    """Three pages that the search finds."""
    return list(ingested(people, pdf_make(), "report.pdf").pages.order_by("number"))


def test_the_majority_counts(people: People, report_pages: list[Page]) -> None:
    alice, bob, root = (Actor.from_user(getattr(people, n)) for n in ("alice", "bob", "root"))
    blades, holiday, revenue = report_pages
    judge(alice, HOLIDAY, holiday, True)
    judge(bob, HOLIDAY, holiday, True)
    judge(root, HOLIDAY, holiday, False)
    judge(bob, HOLIDAY, blades, False)
    judge(alice, HOLIDAY, revenue, True)
    judge(bob, HOLIDAY, revenue, False)
    [question] = saved_questions()
    assert question.relevant == {holiday.pk}
    assert question.irrelevant == {blades.pk}
    judge(bob, "divided", revenue, False)
    judge(alice, "divided", revenue, True)
    assert len(saved_questions()) == 1


def test_saved_queries_are_asked_and_nothing_is_written(
    people: People, report_pages: list[Page], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blades, holiday, _ = report_pages
    judge(SYSTEM, HOLIDAY, holiday, True)
    judge(SYSTEM, HOLIDAY, blades, False)
    judge(SYSTEM, RUST, blades, True)
    judge(SYSTEM, "nothing answers this", blades, False)
    Page.objects.filter(pk=holiday.pk).update(language="sv")
    before = (Judgement.objects.count(), Document.objects.count(), Index.objects.count())
    target = tmp_path / "out.json"
    call_command("evaluate", "--saved", "--json", str(target))
    found = json.loads(target.read_text())
    assert found["kinds"]["text"] | {"ndcg@10": 1.0} == {
        "queries": 2,
        "hit@1": 1.0,
        "hit@5": 1.0,
        "ndcg@10": 1.0,
        "mrr": 1.0,
        "recall@10": 1.0,
        "bad@10": 2,
    }
    assert found["languages"]["sv"]["queries"] == 1
    assert found["types"]["pdf"]["queries"] == 2
    assert found["setting"]["answered_by"]["id"] == index_active().pk
    assert "bad@10" in capsys.readouterr().out
    assert before == (Judgement.objects.count(), Document.objects.count(), Index.objects.count())


def test_export_and_import(people: People, report_pages: list[Page], tmp_path: Path) -> None:
    blades, holiday, _ = report_pages
    judge(SYSTEM, HOLIDAY, holiday, True)
    judge(SYSTEM, HOLIDAY, blades, False)
    parts = (engine.TextPart("exit"), engine.ImagePart(png_make()))
    judging.judgement_set(actor=SYSTEM, parts=parts, page_id=blades.pk, is_relevant=True)
    before = saved_questions()
    path = tmp_path / "queries.jsonl"
    assert saved_export(path) == 2
    row = json.loads(path.read_text().splitlines()[0])
    assert row["relevant"][0] | {"sha256": ""} == {
        "file": "documents/report.pdf",
        "page": 2,
        "sha256": "",
    }
    JudgedQuery.objects.all().delete()
    came = saved_import(path)
    assert (came.queries, came.judgements, came.missing) == (2, 3, 0)
    after = saved_questions()
    assert [(q.kind, q.relevant, q.irrelevant) for q in after] == [
        (q.kind, q.relevant, q.irrelevant) for q in before
    ]
    # A document of that name is not that document.
    Document.objects.update(sha256="0" * 64)
    JudgedQuery.objects.all().delete()
    assert saved_import(path).missing == 3
    assert not JudgedQuery.objects.exists()


def test_a_query_whose_picture_is_gone_is_left_out(
    people: People, report_pages: list[Page]
) -> None:
    parts = (engine.ImagePart(png_make()),)
    judging.judgement_set(actor=SYSTEM, parts=parts, page_id=report_pages[0].pk, is_relevant=True)
    default_storage.delete(JudgedQuery.objects.get().picture)
    assert saved_questions() == []


def test_a_query_that_cannot_be_asked_is_left_out(
    people: People, report_pages: list[Page], caplog: pytest.LogCaptureFixture
) -> None:
    """Saved by an earlier version, or by one that asked more."""
    alice, parts = Actor.from_user(people.alice), (engine.TextPart(RUST),)
    page = report_pages[0].pk
    judging.judgement_set(actor=alice, parts=parts, page_id=page, is_relevant=True)
    query = JudgedQuery.objects.create(text="-x")
    Judgement.objects.create(query=query, page=report_pages[0], is_relevant=True)
    run = questions_ask(saved_questions())
    assert [outcome.kind for outcome in run.outcomes] == ["text"]
    assert f"question {query.pk} is left out" in caplog.text
    with pytest.raises(InvalidInput, match="oversampling"):
        questions_ask(saved_questions(), Setting(oversampling=10_000))


def test_two_indexes_side_by_side(
    people: People, report_pages: list[Page], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second holds no vectors of these pages: its losses are the first one's wins."""
    judge(SYSTEM, HOLIDAY, report_pages[1], True)
    live = index_active()
    smaller = indexing.index_create(
        engine.VectorSpace(live.space.source, live.space.spec, 256), state=Index.State.BUILDING
    )
    drain()
    found = compare(saved_questions(), Setting(index=live.pk), Setting(index=smaller.pk))
    assert found.first.index["dimension"] == 1536
    assert found.second.index["dimension"] == 256
    assert "Not decided" in found.verdict or "No difference" in found.verdict
    target = tmp_path / "out.json"
    call_command(
        "evaluate",
        "--saved",
        "--setting",
        f"index={live.pk}",
        "--against",
        f"index={smaller.pk},oversampling=8",
        "--json",
        str(target),
    )
    told = json.loads(target.read_text())
    assert told["second"] | {"answered_by": None} == {
        "oversampling": 8,
        "index": smaller.pk,
        "answered_by": None,
    }
    assert "won/lost/tied" in capsys.readouterr().out
    with pytest.raises(NotFound):
        questions_ask(saved_questions(), Setting(index=10**6))


BAD_COMMANDS: tuple[list[str], ...] = (
    [],
    ["--saved", "."],
    ["--saved", "--setting", "oversampling=x"],
    ["--saved", "--setting", "oversampling=1000"],
    ["--saved", "--against", "index=99"],
    [".", "--setting", "index=1", "--against", "index=2"],
    ["no-such-folder"],
    ["--import", "no-such-file.jsonl"],
)


def test_commands_fail_with_a_sentence(people: People, report_pages: list[Page]) -> None:
    judge(SYSTEM, HOLIDAY, report_pages[1], True)
    for argv in BAD_COMMANDS:
        with pytest.raises(CommandError):
            call_command("evaluate", *argv)


@pytest.mark.long
def test_a_folder_is_asked_in_a_scratch_index(tmp_path: Path) -> None:
    """The command itself, with services of its own that end with it."""
    folder = tmp_path / "set"
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "report.pdf").write_bytes(pdf_make())
    (folder / "documents" / "other.pdf").write_bytes(pdf_make([TEXTS[0]]))
    rows = [
        {"id": "1", "query": HOLIDAY, "relevant": [{"file": "documents/report.pdf", "page": 2}]},
        {"id": "2", "query": RUST, "relevant": [{"file": "documents/gone.pdf", "page": 1}]},
    ]
    lines = [json.dumps(row | {"kind": "text"}) for row in rows]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    (tmp_path / "data").mkdir()
    argv = [sys.executable, str(PROJECT_DIR / "manage.py"), "evaluate", str(folder)]
    env = {"DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/bin", "EMBEDDING_INPROCESS": "1"}
    for more, key in (([], "kinds"), (["--against", "oversampling=1"], "verdict")):
        target = tmp_path / "out.json"
        done = subprocess.run(
            [*argv, *more, "--json", str(target)], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(target.read_text())
        assert found[key]
    assert "report.pdf" not in done.stdout
