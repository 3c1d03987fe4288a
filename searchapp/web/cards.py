"""Hits as cards: links, marked excerpt, why it was found, what the asker can do with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse
from django.utils.safestring import SafeString

from searchapp import access
from searchapp.access import Actor
from searchapp.models import Page
from searchapp.search.types import Answer, Hit
from searchapp.web import reasons, words
from searchapp.web.asked import Asked, similar_to

_ALSO_SHOWN = 6


@dataclass(frozen=True, slots=True)
class AlsoLink:
    """Another page of the same document that matched."""

    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """A hit as it is shown. `excerpt` is escaped and marked, and empty
    where no word of the question stands: the picture tells more. `more` counts links left out.

    verdict: what this person said of the hit for this question; None when nothing.
    """

    hit: Hit
    url: str
    place: str
    excerpt: SafeString
    reason: str
    details: tuple[tuple[str, str], ...]
    alt: str
    similar_url: str
    also: tuple[AlsoLink, ...] = ()
    more: int = 0
    verdict: bool | None = None


def cards_get(
    actor: Actor, asked: Asked, answer: Answer, verdicts: Mapping[int, bool]
) -> list[Card]:
    """The cards of an answer, in its order. verdicts: by page id."""
    ids = _also_ids(actor, answer.hits)
    return [_card(asked, hit, ids, verdicts.get(hit.page.pk)) for hit in answer.hits]


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


def _card(asked: Asked, hit: Hit, ids: Mapping[tuple[int, int], int], verdict: bool | None) -> Card:
    document = hit.page.document
    excerpt = words.marked(hit.excerpt, asked.marking)
    also = [
        AlsoLink(number, page_url(ids[document.pk, number], asked))
        for number in hit.also[:_ALSO_SHOWN]
        if (document.pk, number) in ids
    ]
    return Card(
        hit=hit,
        url=page_url(hit.page.pk, asked),
        place=place_line(hit.page),
        excerpt=excerpt if "<mark>" in excerpt else SafeString(),
        reason=reasons.reason_line(hit.reasons),
        details=reasons.reason_details(hit),
        alt=words.alt_text(document.title, hit.page.number, hit.page.text),
        similar_url=search_url(similar_to(hit.page.pk, asked).to_querystring()),
        also=tuple(also),
        more=len(hit.also) - len(also),
        verdict=verdict,
    )


def place_line(page: Page) -> str:
    """`slide 3 of 12`."""
    count = page.document.page_count or page.number
    return f"{words.page_word(page.document.kind)} {page.number} of {count}"


def page_url(page_id: int, asked: Asked) -> str:
    """The viewer at a page, with the question that led there."""
    is_known = not asked.is_empty or asked.picture_key
    question = asked.to_querystring() if is_known else ""
    return reverse("page", args=[page_id]) + (f"?{question}" if question else "")


def search_url(question: str) -> str:
    """The search page with a question already spelled as parameters."""
    return reverse("search") + (f"?{question}" if question else "")
