"""Words for full text: every page fits into a tsvector, whatever its script."""

import random

import pytest
from django.db import connection

from searchapp.models.lexical import MAX_BYTES, lexical_text, page_search_vector
from tests.app.conftest import People, ingested, pdf_make

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
