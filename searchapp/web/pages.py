"""The viewer: one page large, its neighbours, what is on it and where the query's words stand."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from searchapp import access, library
from searchapp.access import Actor
from searchapp.errors import SearchappError
from searchapp.models import Page
from searchapp.search.search import search_pages
from searchapp.web import words
from searchapp.web.asked import Asked, asked_from_parameters, similar_to, with_part
from searchapp.web.cards import page_url, place_line, search_url
from searchapp.web.edge import signed_in

# Thumbnails before and after the page; longer documents have their own page with all of them.
STRIP_REACH = 30


@dataclass(frozen=True, slots=True)
class Box:
    """A marked word on the picture, in thousandths of its width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class StripItem:
    """One thumbnail of the strip."""

    page: Page
    url: str
    is_current: bool
    is_hit: bool


@signed_in
@require_safe
def page(request: HttpRequest, page_id: int) -> HttpResponseBase:
    """The page, with the question it was found by in the URL's parameters."""
    actor = Actor.from_user(request.user)
    shown = access.visible_page_get(actor, page_id)
    asked = asked_from_parameters(request.GET)
    is_found = not asked.is_empty or bool(asked.picture_key)
    hits = _hit_numbers(actor, asked, shown.document_id)
    before, after = library.page_neighbours(shown)
    text = shown.text.strip()
    context = {
        "page": shown,
        "document": shown.document,
        "asked": asked,
        "back_url": search_url(asked.to_querystring()) if is_found else "",
        "similar_url": search_url(similar_to(shown.pk, asked).to_querystring()),
        "place": place_line(shown),
        "alt": words.alt_text(shown.document.title, shown.number, text),
        "text": words.marked(text, asked.marking),
        "notes": words.marked(shown.notes.strip(), asked.marking),
        "boxes": word_boxes(shown.words, asked.marking),
        "notices": [*shown.document.notices, *shown.notices],
        "strip": _strip(actor, shown, asked, hits),
        "before_url": page_url(before.pk, asked) if before else "",
        "after_url": page_url(after.pk, asked) if after else "",
    }
    return render(request, "page.html", context)


def _hit_numbers(actor: Actor, asked: Asked, document_id: int) -> frozenset[int]:
    """Pages of the document among the hits of the question; none when it cannot be asked now."""
    if asked.is_empty or asked.is_picture_elsewhere:
        return frozenset()
    try:
        answer = search_pages(actor=actor, query=with_part(actor, asked).to_query())
    except SearchappError:
        return frozenset()
    here = [hit for hit in answer.hits if hit.page.document_id == document_id]
    return frozenset(number for hit in here for number in (hit.page.number, *hit.also))


def word_boxes(page_words: list[list[str | float]], query: str) -> list[Box]:
    """Boxes of the words (`[text, x0, y0, x1, y1]` in fractions) that the query names."""
    pattern = words.query_pattern(query)
    if pattern is None:
        return []
    found = [word for word in page_words if pattern.search(str(word[0]))]
    return [_box(*(float(edge) for edge in word[1:5])) for word in found]


def _box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(
        round(x0 * 1000, 1),
        round(y0 * 1000, 1),
        round((x1 - x0) * 1000, 1),
        round((y1 - y0) * 1000, 1),
    )


def _strip(actor: Actor, shown: Page, asked: Asked, hits: frozenset[int]) -> list[StripItem]:
    reach = (shown.number - STRIP_REACH, shown.number + STRIP_REACH)
    pages = access.visible_pages(actor).filter(document_id=shown.document_id, number__range=reach)
    pages = pages.only("number", "hidden", "thumbnail", "document_id", "width", "height")
    return [
        StripItem(p, page_url(p.pk, asked), p.pk == shown.pk, p.number in hits)
        for p in pages.order_by("number")
    ]
