"""POST /judgements and GET /judgements?q=: what one says of hits, and what one has said."""

from django.http import HttpRequest
from ninja import Query as QueryParameters
from ninja import Router, Schema
from pydantic import StrictBool, StrictInt

from searchapp import engine, judging
from searchapp.api.actor import reader_of
from searchapp.api.schemas import StrictSchema
from searchapp.api.search import known_check, parts_get
from searchapp.api.search_schemas import QueryContent

router = Router()


class JudgementIn(StrictSchema):
    """A verdict: whether `page` answers `query`; null takes it back."""

    query: str | QueryContent
    page: StrictInt
    is_relevant: StrictBool | None


class JudgementOut(Schema):
    """One's verdict on a page for the query that was asked."""

    page: int
    is_relevant: bool | None


class JudgementList(Schema):
    """All one's verdicts for a query, on pages that one may see, by page."""

    items: list[JudgementOut]


class AskedIn(StrictSchema):
    """The words of a query."""

    q: str


@router.post("/judgements", response=JudgementOut)
def judgement_set(request: HttpRequest, payload: JudgementIn) -> JudgementOut:
    """Say that a page answers a query or does not, or take the verdict back."""
    actor = reader_of(request)
    judging.judgement_set(
        actor=actor,
        parts=parts_get(actor, payload.query),
        page_id=payload.page,
        is_relevant=payload.is_relevant,
    )
    return JudgementOut(page=payload.page, is_relevant=payload.is_relevant)


@router.get("/judgements", response=JudgementList)
def judgement_list(request: HttpRequest, asked: QueryParameters[AskedIn]) -> JudgementList:
    """One's own verdicts for a query of words."""
    known_check(request, AskedIn)
    found = judging.verdicts_get(actor=reader_of(request), parts=(engine.TextPart(asked.q),))
    items = [JudgementOut(page=page, is_relevant=said) for page, said in found.items()]
    return JudgementList(items=items)
