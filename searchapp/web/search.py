"""The search page: the question, its filters, and hits as cards."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from searchapp import access
from searchapp.access import Actor
from searchapp.demo.queries import DEMO_QUERIES
from searchapp.errors import SearchappError
from searchapp.judging import verdicts_get
from searchapp.search.query import MAX_LIMIT
from searchapp.search.scope import pages_count, scope_get
from searchapp.search.search import search_pages
from searchapp.search.types import Answer
from searchapp.web import words
from searchapp.web.asked import PAGE_SIZE, Asked, asked_from, with_part
from searchapp.web.cards import cards_get, search_url
from searchapp.web.edge import is_htmx, signed_in
from searchapp.web.filters import chips_get, menus_get, range_summary
from searchapp.web.progress import awaited_count

_SAMPLES_SHOWN = 6
# With fewer hits than this, what is still being read may be what is missed.
_FEW = 5
# What ends by itself: the page asks again.
_PASSING = {"engine_unavailable", "engine_lost", "model_mismatch", "overloaded"}


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def search(request: HttpRequest) -> HttpResponseBase:
    """The page, or only its results for htmx. POST carries a picture, GET can be shared."""
    actor = Actor.from_user(request.user)
    asked, answer, context, status = Asked(), None, {}, 200
    try:
        asked = asked_from(request)
        if not asked.is_empty and not asked.is_picture_elsewhere:
            asked = with_part(actor, asked)
            answer = search_pages(actor=actor, query=asked.to_query())
            context = _answer_context(actor, asked, answer)
    except SearchappError as error:
        context = {"error": error, "is_passing": error.code in _PASSING}
        status = error.status
    context |= _question_context(actor, asked, answer) | _empty_context(actor, asked)
    if is_htmx(request):
        response = _fragment(request, asked, context, status)
    else:
        response = render(request, "search/page.html", context, status=status)
    if status == 503:
        response["Retry-After"] = "5"
    return response


def _fragment(
    request: HttpRequest, asked: Asked, context: dict[str, object], status: int
) -> HttpResponse:
    response = render(request, "search/fragment.html", context, status=status)
    if request.method == "POST":
        url = search_url(asked.to_querystring(limit="")) if asked.picture_key else "false"
        response["HX-Push-Url"] = url
    return response


def _answer_context(actor: Actor, asked: Asked, answer: Answer) -> dict[str, object]:
    verdicts = {}
    if asked.is_judgeable:
        verdicts = verdicts_get(actor=actor, parts=asked.to_query().parts)
    cards = cards_get(actor, asked, answer, verdicts)
    is_full = len(answer.hits) >= asked.limit
    more = min(asked.limit + PAGE_SIZE, MAX_LIMIT)
    return {
        "answer": answer,
        "cards": cards,
        "took": words.duration(answer.took_ms),
        "good": [card for card in cards if card.hit.band != "weak"],
        "weak": [card for card in cards if card.hit.band == "weak"],
        "awaited": awaited_count(actor) if len(cards) < _FEW or not answer.is_answered else 0,
        "searched": pages_count(scope_get(actor, asked.filters)),
        "more_limit": more if is_full and more > asked.limit else None,
        "more_query": asked.to_querystring(limit=more),
    }


def _question_context(actor: Actor, asked: Asked, answer: Answer | None) -> dict[str, object]:
    """The question itself: chips and filters as they stand after it."""
    filters = asked.filters
    metadata = [f"{key}:{value}" for key, values in filters.metadata.items() for value in values]
    return {
        "asked": asked,
        "chips": chips_get(actor, asked),
        "menus": menus_get(actor, asked, answer),
        "days": range_summary(filters.uploaded_from, filters.uploaded_to),
        "numbers": range_summary(filters.page_from, filters.page_to),
        "metadata": metadata,
        "reset_url": search_url(asked.without_filters().to_querystring()),
    }


def _empty_context(actor: Actor, asked: Asked) -> dict[str, object]:
    """What the page says before anything is asked."""
    if not asked.is_empty or asked.picture_key:
        return {}
    has_demo = access.visible_collections(actor).filter(is_demo=True).exists()
    return {
        "samples": DEMO_QUERIES[:_SAMPLES_SHOWN] if has_demo else (),
        "has_demo": has_demo,
        "has_documents": has_demo or access.visible_documents(actor).exists(),
    }
