"""Words for full text: every page fits into a tsvector, and what its words find, in which order."""

import math
import random

import pytest
from django.db import connection

from searchapp import library
from searchapp.access import Actor
from searchapp.models import Document, Page
from searchapp.models.lexical import MAX_BYTES, lexical_text, page_search_vector
from searchapp.search.stages import frequencies, lexical
from searchapp.search.stages.lexical import lexical_search
from searchapp.search.types import PageFilter, Scope
from tests.app.conftest import People, ingested, pdf_make, upload

pytestmark = pytest.mark.django_db

_RANDOM = random.Random(5)


def cjk(count: int) -> str:
    return "".join(chr(_RANDOM.randrange(0x4E00, 0x9FFF)) for _ in range(count))


def words(pattern: str, count: int) -> str:
    """`count` random words; each x of the pattern is a letter or digit."""
    signs = "abcdefghijklmnopqrstuvwxyz0123456789"
    return " ".join(
        "".join(_RANDOM.choice(signs) if sign == "x" else sign for sign in pattern)
        for _ in range(count)
    )


@pytest.mark.parametrize(
    "text",
    [
        cjk(100_000),
        words("xxx.de/x", 12_000),
        words("x-x-x-x", 13_000),
        words("xxxx-1234", 10_000),
        words("xx@xx.de", 12_000),
        words("xxx", 25_000),
        "😀é" * 50_000,
    ],
    ids=["cjk", "urls", "hyphens", "numbers", "mails", "short", "emoji"],
)
def test_a_page_full_of_one_kind_of_words_is_kept(people: People, text: str) -> None:
    page = ingested(people, pdf_make(["one"]), "one.pdf").pages.get()
    vector = page_search_vector(title="A " + cjk(290), filename="b.pdf", text=text, notes=cjk(9000))
    assert type(page).objects.filter(pk=page.pk).update(search=vector) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT length(search) FROM searchapp_page WHERE id = %s", [page.pk])
        assert cursor.fetchone()[0] > 500


def test_what_does_not_fit_ends_at_a_whole_word(people: People) -> None:
    page = ingested(people, pdf_make(["one"]), "one.pdf").pages.get()
    long = "词" * 99_998 + "尾巴"
    vector = page_search_vector(title="t", filename="f.pdf", text=long, notes="lighthouse")
    type(page).objects.filter(pk=page.pk).update(search=vector)
    page.refresh_from_db()
    kept = str(page.search)
    assert "词词" in kept
    assert "尾巴" not in kept
    assert "lighthous" not in kept
    assert len(lexical_text(long).encode()) > MAX_BYTES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("see AB-1234", "see ab 1234 ab1234"),
        ("ERR_CONN-42/7", "err conn 42 7 errconn427"),
        ("v2.3.1", "v2 3 1 v231"),
        ("§12a", "12a"),
        ("Müller-Lüdenscheidt", "muller ludenscheidt"),
        ("1,234.56", "1 234 56 123456"),
        ("1.234,56", "1 234 56 123456"),
        ("3.5 or 1/2", "3 5 or 1 2"),
        ("Größe ŁÓDŹ ﬁne Straße", "grosse lodz fine strasse"),
        ("ｆｕｌｌ１２ 数据库 が 한국", "full12 数据 据库 が 한국"),
        ("हिन्दी भाषा", "हिन्दी भाषा"),
        ("a\x00b", "a b"),
        ("-- ! --", ""),
    ],
)
def test_words_are_spelled_out(text: str, words: str) -> None:
    assert lexical_text(text) == words


def test_long_runs_are_read_in_time() -> None:
    assert lexical_text("a-" * 50_000).startswith("a a ")
    assert len(lexical_text("1-" * 50_000).split()) == 50_000


def pages_write(people: People, texts: list[str]) -> list[int]:
    """A page for each text, searchable by its words."""
    document = upload(people, b"%PDF-1.4 ", "manual.pdf", title="Manual")
    pages = Page.objects.bulk_create(
        Page(document=document, number=number, text=text, step=Page.Step.DONE)
        for number, text in enumerate(texts, start=1)
    )
    for page in pages:
        vector = page_search_vector(title="", filename="", text=page.text, notes="")
        Page.objects.filter(pk=page.pk).update(search=vector)
    return [page.pk for page in pages]


def shares(text: str, scope: Scope | None = None, pages: int = 5) -> list[tuple[int, float]]:
    found = lexical_search(text, scope or Scope(None), pages=pages)
    return [(hit.page_id, round(hit.share, 3)) for hit in found]


TOKENS = ("ERR_CONN-42/7", "v2.3.1", "§12a", "Müller-Lüdenscheidt", "1,234.56", "AB-1234", "数据库")


@pytest.mark.parametrize(
    ("asked", "place"),
    [(token, place) for place, token in enumerate(TOKENS)]
    + [("1.234,56", 4), ("AB1234", 5), ("ab 1234", 5), ("muller ludenscheidt", 3), ("12A", 2)],
)
def test_an_exact_token_is_found_first(people: People, asked: str, place: int) -> None:
    parts = ["err 42", "v2 13", "12 a", "Müller", "1 234", "ab 12345", "数 据"]
    noise = [f"the page {n} shows {parts[n % 7]} of a valve" for n in range(70)]
    ids = pages_write(people, [*noise, *(f"see [{token}] there" for token in TOKENS)])
    best = shares(f"what does {asked} mean for the page")
    assert best[0][0] == ids[len(noise) + place]
    assert len(best) == 1 or best[0][1] > best[1][1]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rare and what is looked at, on the scale of a small test."""
    monkeypatch.setattr(frequencies, "COUNTED", 5)
    monkeypatch.setattr(lexical, "COUNTED", 5)
    monkeypatch.setattr(lexical, "_LEAST_RANKED", 4)


@pytest.mark.usefixtures("few")
def test_of_common_words_those_pages_come_first_that_hold_most(people: People) -> None:
    """More pages than are looked at hold each word; the one with all of them stands last."""
    single = [f"{word} {n}" for n in range(20) for word in ("pump", "valve", "motor")]
    ids = pages_write(
        people, [*single, *["nothing here"] * 140, "pump valve", "motor with a pump and a valve"]
    )
    best = shares("pump valve motor", pages=2)
    assert [page for page, _ in best] == [ids[-1], ids[-2]]
    assert best[0][1] == 1.0


@pytest.mark.usefixtures("few")
def test_a_rare_word_is_found_among_common_ones(people: People) -> None:
    single = [f"{word} {n}" for n in range(20) for word in ("pump", "valve")]
    ids = pages_write(people, [*single, *["nothing here"] * 100, "xj77 alone"])
    best = shares("pump valve xj77", pages=3)
    assert best[0][0] == ids[-1]
    assert len(best) == 3


@pytest.mark.usefixtures("few")
def test_only_pages_in_scope_are_found(people: People) -> None:
    ids = pages_write(people, [*(["pump"] * 30), *(["nothing"] * 90), "pump last"])
    wanted = ids[-1]
    sql = "SELECT page.id FROM searchapp_page page WHERE page.id = %(wanted)s"
    assert shares(
        "pump", Scope((people.collection.pk,), PageFilter(sql, {"wanted": wanted}, 1))
    ) == [(wanted, 1.0)]
    assert shares("pump", Scope((people.collection.pk + 1,))) == []
    assert shares("pump", Scope(())) == []


def test_shares_and_densities_are_those_of_an_exact_computation(people: People) -> None:
    chooser = random.Random(3)
    vocabulary = [f"word{n}x" for n in range(60)]
    texts = [" ".join(chooser.choices(vocabulary, k=8)) for _ in range(200)]
    held = dict(zip(pages_write(people, texts), map(str.split, texts), strict=True))
    for _ in range(10):
        asked = chooser.sample(vocabulary, 4)
        idf = {w: math.log(1 + 200 / (1 + sum(w in page for page in held.values()))) for w in asked}
        share, density = dict[int, float](), dict[int, float]()
        for page_id, page in held.items():
            share[page_id] = sum(idf[w] for w in asked if w in page) / sum(idf.values())
            often = (idf[w] * (1 + saturated(page.count(w))) / 2 for w in asked if w in page)
            density[page_id] = sum(often) / sum(idf.values()) / (share[page_id] or 1)
        found = lexical_search(" ".join(asked), Scope(None), pages=10)
        best = sorted(share.values(), reverse=True)[:10]
        assert [hit.share for hit in found] == pytest.approx(best)
        for hit in found:
            exact = share[hit.page_id], density[hit.page_id]
            assert (hit.share, hit.density) == pytest.approx(exact, abs=1e-6)
        assert found == sorted(found, key=lambda hit: (-hit.share, -hit.density, hit.page_id))


def test_a_word_on_hidden_pages_only_is_like_one_that_stands_nowhere(people: People) -> None:
    """Or scores would tell what others have; also where the planner knows the word."""
    pages_write(people, [f"secretword number {n}" for n in range(30)])
    mine = library.collection_create(actor=Actor.from_user(people.charlie), name="Mine")
    document = Document.objects.create(collection=mine, title="t", bytes=1, sha256="0")
    vector = page_search_vector(title="", filename="f", text="apple orchard", notes="")
    Page.objects.create(document=document, number=1, step=Page.Step.DONE, search=vector)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE searchapp_page")
    scope = Scope((mine.pk,))
    hidden, absent = (
        lexical_search(f"apple {word}", scope, pages=10) for word in ("secretword", "zzgrmpf")
    )
    assert hidden == absent
    assert [hit.words for hit in hidden] == [("apple",)]
    everywhere = Scope(None)
    assert lexical_search("apple secretword", everywhere, pages=1)[0].share > hidden[0].share


def saturated(count: int) -> float:
    """What `ts_rank` says of a word that stands `count` times."""
    return sum(1 / n**2 for n in range(1, count + 1)) / 1.64493406685
