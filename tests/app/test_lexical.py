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


def test_part_numbers_are_found_in_time_on_any_page() -> None:
    assert lexical_text("see AB-1234").endswith(" AB1234")
    assert lexical_text("a-" * 50_000).startswith("a-a-")
