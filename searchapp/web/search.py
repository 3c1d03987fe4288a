"""The search page: the question, its filters, and hits as cards."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, Func, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from searchapp import access, library
from searchapp.access import Actor
from searchapp.demo.queries import DEMO_QUERIES
from searchapp.errors import SearchappError
from searchapp.models import Document, Page
from searchapp.search.query import MAX_LIMIT
from searchapp.search.scope import pages_count, scope_get
from searchapp.search.search import search_pages
from searchapp.search.types import Answer, Hit
from searchapp.web import words
from searchapp.web.asked import PAGE_SIZE, Asked, asked_from
from searchapp.web.edge import is_htmx, signed_in

_TAGS_SHOWN = 100
_ALSO_SHOWN = 6
_SAMPLES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class AlsoLink:
    """Another page of the same document that matched."""

    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """A hit as it is shown. `excerpt` is escaped and marked; `more` counts links left out."""

    hit: Hit
    url: str
    place: str
    excerpt: SafeString
    reason: str
    alt: str
    also: tuple[AlsoLink, ...] = ()
    more: int = 0


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def search(request: HttpRequest) -> HttpResponseBase:
    """The page, or only its results for htmx. POST carries a picture, GET can be shared."""
    actor = Actor.from_user(request.user)
    asked, context, status = Asked(), {}, 200
    try:
        asked = asked_from(request)
        if not asked.is_empty:
            context = _answer_context(actor, asked)
    except SearchappError as error:
        context, status = {"error": error}, error.status
    context |= {"asked": asked} | _empty_context(actor, asked)
    if is_htmx(request):
        response = render(request, "search/results.html", context, status=status)
        if request.method == "POST":
            response["HX-Push-Url"] = "false"
        return response
    return render(
        request, "search/page.html", context | _filter_context(actor, asked), status=status
    )


def _answer_context(actor: Actor, asked: Asked) -> dict[str, object]:
    answer = search_pages(actor=actor, query=asked.to_query())
    is_full = len(answer.hits) >= asked.limit
    more = min(asked.limit + PAGE_SIZE, MAX_LIMIT)
    return {
        "answer": answer,
        "cards": _cards(actor, asked, answer),
        "searched": pages_count(scope_get(actor, asked.filters)),
        "more_limit": more if is_full and more > asked.limit else None,
        "more_query": asked.to_querystring(limit=more),
    }


def _cards(actor: Actor, asked: Asked, answer: Answer) -> list[Card]:
    ids = _also_ids(actor, answer.hits)
    return [_card(asked, hit, ids) for hit in answer.hits]


def _also_ids(actor: Actor, hits: Sequence[Hit]) -> dict[tuple[int, int], int]:
    """Page ids by (document, number) of all pages that cards link to as `also`."""
    wanted = Q()
    for hit in hits:
        if hit.also:
            wanted |= Q(document_id=hit.page.document_id, number__in=hit.also[:_ALSO_SHOWN])
    if not wanted:
        return {}
    rows = access.visible_pages(actor).filter(wanted).values_list("document_id", "number", "pk")
    return {(document_id, number): pk for document_id, number, pk in rows}


def _card(asked: Asked, hit: Hit, ids: dict[tuple[int, int], int]) -> Card:
    document = hit.page.document
    also = [
        AlsoLink(number, page_url(ids[document.pk, number], asked))
        for number in hit.also[:_ALSO_SHOWN]
        if (document.pk, number) in ids
    ]
    return Card(
        hit=hit,
        url=page_url(hit.page.pk, asked),
        place=place_line(hit.page),
        excerpt=words.marked(hit.excerpt, asked.text),
        reason=words.reason_line(hit.reasons),
        alt=words.alt_text(document.title, hit.page.number, hit.page.text),
        also=tuple(also),
        more=len(hit.also) - len(also),
    )


def place_line(page: Page) -> str:
    """`slide 3 of 12`."""
    count = page.document.page_count or page.number
    return f"{words.page_word(page.document.kind)} {page.number} of {count}"


def page_url(page_id: int, asked: Asked) -> str:
    """The viewer at a page, with the question that led there."""
    question = asked.to_querystring() if asked.text else ""
    return reverse("page", args=[page_id]) + (f"?{question}" if question else "")


def _empty_context(actor: Actor, asked: Asked) -> dict[str, object]:
    """What the page says before anything is asked."""
    if not asked.is_empty:
        return {}
    has_demo = access.visible_collections(actor).filter(is_demo=True).exists()
    return {
        "samples": DEMO_QUERIES[:_SAMPLES_SHOWN] if has_demo else (),
        "has_demo": has_demo,
        "has_documents": has_demo or access.visible_documents(actor).exists(),
    }


def _filter_context(actor: Actor, asked: Asked) -> dict[str, object]:
    documents = access.visible_documents(actor)
    tags = documents.annotate(tag=Func(F("tags"), function="unnest")).values_list("tag", flat=True)
    return {
        "collections": library.collection_list(actor),
        "kinds": Document.Kind.choices,
        "tags": list(tags.order_by("tag").distinct()[:_TAGS_SHOWN]),
        "chosen_documents": documents.filter(pk__in=asked.filters.documents),
    }
