"""Lanes of models that see, that read, and of both: their units, and that pages are found."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from embedding_engine import registry
from embedding_engine.types import Lane
from searchapp import indexing
from searchapp.access import SYSTEM
from searchapp.models import Page
from searchapp.models.indexes import index_active
from searchapp.search.query import text_query
from searchapp.search.search import search_pages
from tests.app.conftest import People, index_switch, ingested, pdf_make


@pytest.fixture
def lanes_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the model other lanes and an index of its own."""

    def change(*lanes: Lane) -> None:
        changed = replace(registry.MODELS["fake"], lanes=lanes)
        monkeypatch.setattr(registry, "MODELS", {**registry.MODELS, "fake": changed})
        index_switch("fake")

    return change


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("lanes", "with_text", "without"),
    [
        (("text",), {"text"}, {"text"}),
        (("image",), {"image"}, {"image"}),
        (("image", "text"), {"image", "text"}, {"image"}),
    ],
)
def test_units_of_pages_with_and_without_text(
    people: People,
    lanes_of: Callable[..., None],
    lanes: tuple[Lane, ...],
    with_text: set[str],
    without: set[str],
) -> None:
    lanes_of(*lanes)
    document = ingested(people, pdf_make(["A page with words on it.", ""]), "report.pdf")
    assert document.status == "ready"
    found = [
        {unit.lane for unit in indexing.page_units(page, index_active().space.spec)}
        for page in Page.objects.filter(document=document).order_by("number")
    ]
    assert found == [with_text, without]
    answer = search_pages(actor=SYSTEM, query=text_query("words"))
    assert {hit.page.number for hit in answer.hits} == {1, 2}


@pytest.mark.django_db
def test_a_page_without_picture_and_text_is_no_obstacle(
    people: People, lanes_of: Callable[..., None]
) -> None:
    lanes_of("image")
    document = ingested(people, pdf_make(["one", "two"]), "report.pdf")
    Page.objects.filter(document=document, number=2).update(
        image="", text="", step="embed", state="waiting"
    )
    assert indexing.embed_next() is True
    assert set(document.pages.values_list("state", flat=True)) == {"done"}
