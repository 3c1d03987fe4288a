"""The filter menus and the chips of a question: options with their counts, what is chosen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import F, Func

from searchapp import access, library
from searchapp.access import Actor
from searchapp.languages import LANGUAGES
from searchapp.models import Document, Page
from searchapp.search.types import Answer
from searchapp.web.asked import CHOICES, Asked

_TAGS_SHOWN = 100
_SUMMARY_CHARS = 28
_TITLES = {"collection": "Collection", "type": "Type", "tag": "Tag", "language": "Language"}


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a filter. count: hits of it among the ranked pages, None before a search."""

    value: str
    label: str
    count: int | None
    is_chosen: bool
    is_excluded: bool


@dataclass(frozen=True, slots=True)
class Menu:
    """One filter of several values. summary: what is chosen, "" when nothing is."""

    name: str
    title: str
    summary: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """A page, part or document that the question names; unchecking it takes it out."""

    name: str
    value: str
    label: str
    page: Page | None = None
    box: tuple[int, int, int, int] | None = None

    @property
    def view_box(self) -> str:
        """The box in pixels of the page's picture, as SVG wants it; "" without one."""
        if self.page is None or self.box is None:
            return ""
        x0, y0, x1, y1 = self.box
        width, height = self.page.width / 1000, self.page.height / 1000
        edges = (x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height)
        return " ".join(f"{edge:.0f}" for edge in edges)


def menus_get(actor: Actor, asked: Asked, answer: Answer | None) -> list[Menu]:
    """A menu for each filter that has something to choose."""
    labels = {
        "collection": {c.slug: c.name for c in library.collection_list(actor)},
        "type": {str(value): str(label) for value, label in Document.Kind.choices},
        "tag": {tag: tag for tag in _tags(actor)},
        "language": {},
    }
    menus = [_menu(name, labels[name], asked, answer) for name in CHOICES]
    return [menu for menu in menus if len(menu.options) > 1 or menu.summary]


def _tags(actor: Actor) -> list[str]:
    tag = Func(F("tags"), function="unnest")
    tags = access.visible_documents(actor).annotate(tag=tag).values_list("tag", flat=True)
    return list(tags.order_by("tag").distinct()[:_TAGS_SHOWN])


def _menu(name: str, labels: Mapping[str, str], asked: Asked, answer: Answer | None) -> Menu:
    chosen = getattr(asked.filters, CHOICES[name])
    excluded = getattr(asked.filters.without, CHOICES[name])
    counts = answer.facets.get(CHOICES[name], {}) if answer else {}
    values = dict.fromkeys((*chosen, *excluded, *_by_count(counts), *labels))
    options = tuple(
        Option(
            value=value,
            label=_label(name, value, labels),
            count=counts.get(value, 0) if counts else None,
            is_chosen=value in chosen,
            is_excluded=value in excluded,
        )
        for value in values
    )
    return Menu(name, _TITLES[name], _summary(options), options)


def _by_count(counts: Mapping[str, int]) -> list[str]:
    return sorted(filter(None, counts), key=lambda value: (-counts[value], value))


def _label(name: str, value: str, labels: Mapping[str, str]) -> str:
    return LANGUAGES.get(value, value) if name == "language" else labels.get(value, value)


def _summary(options: Iterable[Option]) -> str:
    """`Deck`, `not Image`, `Deck +2`."""
    said = [o.label for o in options if o.is_chosen]
    said += [f"not {o.label}" for o in options if o.is_excluded]
    if not said:
        return ""
    first = said[0] if len(said[0]) <= _SUMMARY_CHARS else said[0][: _SUMMARY_CHARS - 1] + "…"
    return first + (f" +{len(said) - 1}" if len(said) > 1 else "")


def range_summary(first: object, last: object) -> str:
    """`3 to 9`, `from 3`, `to 9`, or "" for no bound."""
    shown = [_shown(first), _shown(last)]
    if all(shown):
        return f"{shown[0]} to {shown[1]}"
    return f"from {shown[0]}" if shown[0] else f"to {shown[1]}" if shown[1] else ""


def _shown(bound: object) -> str:
    if isinstance(bound, date):
        return f"{bound:%-d %b %Y}"
    return "" if bound is None else str(bound)


def chips_get(actor: Actor, asked: Asked) -> list[Chip]:
    """What the question names besides words and values; nothing that the actor may not see."""
    part = asked.part
    rows = access.visible_pages(actor).select_related("document").defer("words", "search")
    pages = rows.in_bulk((*asked.like, *asked.unlike, *([part.page_id] if part else [])))
    chips = []
    if part:
        page = pages.get(part.page_id)
        chips.append(Chip("part", str(part), "Shows this part of", page, part.box))
    chips += _page_chips("like", "More like", asked.like, pages)
    chips += _page_chips("unlike", "Less like", asked.unlike, pages)
    return [chip for chip in chips if chip.page] + _document_chips(actor, asked)


def _page_chips(name: str, label: str, ids: Sequence[int], pages: Mapping[int, Page]) -> list[Chip]:
    return [Chip(name, str(page_id), label, pages.get(page_id)) for page_id in ids]


def _document_chips(actor: Actor, asked: Asked) -> list[Chip]:
    chosen, excluded = asked.filters.documents, asked.filters.without.documents
    documents = access.visible_documents(actor).in_bulk((*chosen, *excluded))
    named = [("document", "Only in", pk) for pk in chosen]
    named += [("without_document", "Not in", pk) for pk in excluded]
    return [
        Chip(name, str(pk), f"{label} “{documents[pk].title[:40]}”")
        for name, label, pk in named
        if pk in documents
    ]
