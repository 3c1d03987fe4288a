"""Units of a page: windows, and passages that end where lines do; nothing is embedded twice."""

import pytest

from embedding_engine.passages import PASSAGE_TOKENS
from embedding_engine.registry import model_spec
from embedding_engine.tokens import load_tokenizer
from searchapp import engine, indexing
from searchapp.models import Document, Embedding, Page
from tests.app.conftest import People, ingested, pdf_make

SPEC = model_spec("builtin")
LINES = [f"Line {n} says that pump number {n} was looked at in spring." for n in range(40)]


def tokens(text: str) -> int:
    return len(load_tokenizer(SPEC).encode(text))


def lanes(page: Page) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for unit in indexing.page_units(page, SPEC):
        (part,) = unit.parts
        assert unit.position == len(found.setdefault(unit.lane, []))
        found[unit.lane].append(part.text or "")
    return found


def page_of(text: str, notes: str = "") -> Page:
    return Page(document=Document(title="Pumps"), text=text, notes=notes)


def test_passages_hold_all_of_the_text_in_whole_lines() -> None:
    found = engine.passages("\n".join(LINES), SPEC)
    assert "\n".join(found).splitlines() == LINES
    sizes = [tokens(one) for one in found]
    assert max(sizes) <= PASSAGE_TOKENS
    assert min(sizes) >= PASSAGE_TOKENS // 2
    assert len(found) == -(-tokens("\n".join(LINES)) // PASSAGE_TOKENS)


def test_passages_end_with_a_sentence_where_there_are_no_lines() -> None:
    found = engine.passages(" ".join(LINES), SPEC)
    assert all(one.endswith(".") for one in found)
    assert " ".join(found) == " ".join(LINES)


@pytest.mark.parametrize("text", ["word " * 500, "数据库" * 200, "x" * 1000, "a.b" * 300])
def test_passages_of_a_text_without_ends_are_whole_and_bounded(text: str) -> None:
    found = engine.passages(text, SPEC)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert max(map(tokens, found)) <= PASSAGE_TOKENS + 1  # a word that is torn may count one more


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_blank_text_has_no_passages(text: str) -> None:
    assert engine.passages(text, SPEC) == []


def test_a_page_of_one_passage_is_embedded_once() -> None:
    assert lanes(page_of("Pump P-7 leaks.")) == {"text": ["Pump P-7 leaks."]}
    assert lanes(page_of("")) == {"text": ["Pumps"]}


def test_a_longer_page_has_windows_and_passages() -> None:
    found = lanes(page_of("\n".join(LINES)))
    assert list(found) == ["text", "passage"]
    assert 1 < len(found["text"]) < len(found["passage"])


def test_no_passage_holds_text_and_notes() -> None:
    found = lanes(page_of("Pump P-7 leaks.", notes="The seal is to be replaced."))
    assert found == {
        "text": ["Pump P-7 leaks.\nThe seal is to be replaced."],
        "passage": ["Pump P-7 leaks.", "The seal is to be replaced."],
    }


@pytest.mark.django_db
def test_units_are_stored_by_lane(people: People) -> None:
    document = ingested(people, pdf_make([" ".join(LINES), "Pump P-7 leaks."]), "pumps.pdf")
    rows = Embedding.objects.filter(page__document=document)
    stored = sorted(rows.values_list("page__number", "lane", "position"))
    expected = [
        (page.number, unit.lane, unit.position)
        for page in document.pages.order_by("number")
        for unit in indexing.page_units(page, SPEC)
    ]
    assert stored == sorted(expected)
    assert {lane for _, lane, _ in stored} == {"text", "passage"}
