"""Websearch syntax: what is taken for a phrase or an exclusion, and which pages then match."""

import pytest
from django.db import connection

from searchapp.errors import InvalidInput
from searchapp.models import Page
from searchapp.models.lexical import page_search_vector
from searchapp.search import syntax
from searchapp.search.syntax import condition, wording
from tests.app.conftest import People, upload


@pytest.mark.parametrize(
    ("text", "plain", "phrases", "excluded"),
    [
        ("salt and coating", "salt and coating", [], []),
        ('salt "wind  turbine" blades', "salt wind turbine blades", ["wind  turbine"], []),
        ("turbine -solar", "turbine", [], ["solar"]),
        ('turbine -"solar farm" wind', "turbine wind", [], ["solar farm"]),
        ("“wind turbine” „rotor blade“ «sel»", "wind turbine rotor blade sel", 3, []),
        ("AB-1234 e-mail - lone -- flag", "AB-1234 e-mail - lone -- flag", [], []),
        ("a -AB-1234", "a", [], ["AB-1234"]),
        ('half "open', 'half "open', [], []),
        ('3.5" floppy and 5.25" disk', '3.5" floppy and 5.25" disk', [], []),
        ('"" "++" salt', "++ salt", [], []),
        ('关于"数据库系统"的文章', "关于 数据库系统 的文章", ["数据库系统"], []),
        ("cats or dogs", "cats or dogs", [], []),
        ('"say it" "say it" -no -no', "say it say it", ["say it"], ["no"]),
    ],
)
def test_a_text_is_taken_apart(
    text: str, plain: str, phrases: list[str] | int, excluded: list[str]
) -> None:
    found = wording(text)
    assert found.plain == plain
    held = [term.text for term in found.phrases]
    assert held == phrases if isinstance(phrases, list) else len(held) == phrases
    assert [term.text for term in found.excluded] == excluded


@pytest.mark.parametrize("text", ["-solar", '-"solar farm" -x', ' -a "" !'])
def test_exclusions_alone_are_no_query(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        wording(text)
    assert (caught.value.code, caught.value.field) == ("empty_query", "query")
    assert wording(text, is_all=False).excluded


@pytest.mark.parametrize("text", ['"a b" ' * 30, "x " + "-y1 z " * 1 + '"' + "a " * 400 + '"'])
def test_many_or_long_terms_are_refused(text: str) -> None:
    many = " ".join(f'"{n} {text[:3]}"' for n in range(40)) if len(set(text)) < 6 else text
    with pytest.raises(InvalidInput) as caught:
        wording(many)
    assert (caught.value.code, caught.value.field) == ("query_too_long", "query")


def test_a_hundred_thousand_signs_are_taken_apart_in_time() -> None:
    for text in ('"' * 100_000, '-"' * 50_000, 'a" ' * 33_000, "-" * 100_000, "\x00" * 100_000):
        wording(text)


PAGES = {
    1: "Salt corrodes the\ncoating of wind-turbine blades. Part AB-1234, rev. C++ 50% [draft]",
    2: "Running shoes, not run shoe. The salty coating. Part X-AB-1234-B. Don’t panic_now",
    3: "To be, or not to be: that is the question. Solar farms.",
    4: "数据库系统的设计。用Python开发 Müller-Lüdenscheidt §12a 猫",
}


@pytest.fixture
def pages(people: People) -> dict[int, int]:
    """PAGES as rows; the last has speaker notes, and all a title and a file name."""
    document = upload(people, b"%PDF-1.4 ", "Jahres_Plan-2026.pdf", title="Grand Hotel Report")
    rows = {}
    for number, text in PAGES.items():
        notes = "remember the lighthouse keeper" if number == 4 else ""
        vector = page_search_vector(
            title=document.title, filename=document.filename, text=text, notes=notes
        )
        page = Page.objects.create(document=document, number=number, text=text, notes=notes)
        Page.objects.filter(pk=page.pk).update(search=vector)
        rows[page.pk] = number
    return rows


def matching(pages: dict[int, int], text: str) -> list[int]:
    where, parameters = condition(wording(text, is_all=False))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT page.id FROM searchapp_page page WHERE {where or 'true'} ORDER BY page.id",
            parameters,
        )
        return [pages[row[0]] for row in cursor.fetchall()]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("salt", [1, 2, 3, 4]),
        ('"salt corrodes"', [1]),
        ('"SALT corrodes THE coating"', [1]),
        ('"salt corrode"', []),
        ('"corrodes salt"', []),
        ('"run shoe"', [2]),
        ('"running shoe"', []),
        ('"running shoes not"', [2]),
        ('"wind turbine"', [1]),
        ('"wind‑turbine"', [1]),
        ('"AB-1234"', [1, 2]),
        ('"part AB-1234"', [1]),
        ('"B-1234"', []),
        ('"C++"', [1]),
        ('"50% [draft]"', [1]),
        ('"panic"', [2]),
        ('"panic_no"', []),
        ('"don\'t panic_now"', [2]),
        ('"to be or not to be"', [3]),
        ('"数据库"', [4]),
        ('"据库系统"', [4]),
        ('"库据"', []),
        ('"猫"', [4]),
        ('"python"', [4]),
        ('"müller-lüdenscheidt"', [4]),
        ('"muller"', []),
        ('"§12a"', [4]),
        ('"lighthouse keeper"', [4]),
        ('"grand hotel"', [1, 2, 3, 4]),
        ('"Jahres_Plan-2026.pdf"', [1, 2, 3, 4]),
        ('"salt corrodes" "to be"', []),
        ("x -salt", [2, 3, 4]),
        ("x -salts", [2, 3, 4]),
        ("x -coating", [3, 4]),
        ('x -"salty coating"', [1, 3, 4]),
        ("x -AB-1234", [3, 4]),
        ("x -the", []),
        ('"coating" -running', [1]),
        ("x -hotel", []),
    ],
)
def test_pages_that_match(pages: dict[int, int], text: str, numbers: list[int]) -> None:
    assert matching(pages, text) == numbers


@pytest.mark.django_db
def test_stop_words_alone_are_not_looked_for_among_very_many_pages(
    pages: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntax, "EXACT_PAGES", len(pages) - 1)
    assert matching(pages, '"salt corrodes"') == [1]
    with pytest.raises(InvalidInput) as caught:
        matching(pages, 'salt "to be or not"')
    assert (caught.value.code, caught.value.field) == ("common_phrase", "query")
