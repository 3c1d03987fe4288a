"""POST /search, GET /search?q=, and GET /pages/{id}/similar."""

import base64
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from ninja import Query as QueryParameters
from ninja import Router

from searchapp import access, engine
from searchapp.access import Actor
from searchapp.api.actor import actor_of, reader_of
from searchapp.api.schemas import StrictSchema
from searchapp.api.search_schemas import (
    QueryContent,
    SearchBounds,
    SearchIn,
    SearchOut,
    SearchParameters,
)
from searchapp.errors import InvalidInput
from searchapp.search.crops import page_part
from searchapp.search.query import MAX_PARTS, Query, Sort
from searchapp.search.search import search_pages
from searchapp.search.types import Answer

router = Router()


@router.post("/search", response=SearchOut)
def search_post(request: HttpRequest, payload: SearchIn) -> HttpResponse:
    """Pages by words, a picture, both interleaved, or by being like other pages."""
    actor = actor_of(request)
    query = Query(
        parts=parts_get(actor, payload.query),
        filters=payload.filters.to_filters(),
        limit=payload.limit,
        oversampling=payload.oversampling,
        group=payload.group,
        sort=cast(Sort, payload.sort),
        image_weight=payload.image_weight,
        like=tuple(payload.like),
        unlike=tuple(payload.unlike),
        facets=payload.facets,
    )
    return _response(search_pages(actor=actor, query=query))


@router.get("/search", response=SearchOut)
def search_get(request: HttpRequest, asked: QueryParameters[SearchParameters]) -> HttpResponse:
    """Pages by words, or by being like other pages."""
    known_check(request, SearchParameters)
    query = asked.to_query(
        parts=(engine.TextPart(asked.q),), like=tuple(asked.like), unlike=tuple(asked.unlike)
    )
    return _response(search_pages(actor=actor_of(request), query=query))


@router.get("/pages/{int:page_id}/similar", response=SearchOut)
def page_similar(
    request: HttpRequest, page_id: int, asked: QueryParameters[SearchBounds]
) -> HttpResponse:
    """Other pages like this one."""
    known_check(request, SearchBounds)
    actor = reader_of(request)
    page = access.visible_page_get(actor, page_id)
    return _response(search_pages(actor=actor, query=asked.to_query(like=(page.pk,))))


def _response(answer: Answer) -> HttpResponse:
    """As JSON at once: Ninja would validate the answer again and encode it in Python."""
    body = SearchOut.from_answer(answer).model_dump_json()
    return HttpResponse(body, content_type="application/json; charset=utf-8")


def known_check(request: HttpRequest, schema: type[StrictSchema]) -> None:
    """Ninja reads of an address what it knows and drops the rest, so a typing error would widen
    the search."""
    for name in request.GET:
        if name not in schema.model_fields:
            raise InvalidInput("invalid_field", f"There is no parameter '{name[:40]}'.", field=name)


def parts_get(actor: Actor, query: str | QueryContent) -> tuple[engine.Part, ...]:
    """What is asked: words, or parts. Raises InvalidInput naming the part, and NotFound and
    Forbidden for parts of pages that the actor may not see."""
    if isinstance(query, str):
        return (engine.TextPart(query),)
    access.require_scope(actor, "search")
    content = query.content
    if len(content) > MAX_PARTS:
        raise InvalidInput("query_too_long", f"At most {MAX_PARTS} parts.", field="query")
    return tuple(_part(actor, part, f"query.content.{i}") for i, part in enumerate(content))


def _part(actor: Actor, part: dict[str, Any], field: str) -> engine.Part:
    """`{"type": "text", "text"}`, an image as any Embed v2 client writes it, or
    `{"type": "page", "page", "box"}`."""
    kind = part.get("type", "text")
    if kind == "text" and isinstance(part.get("text"), str):
        return engine.TextPart(part["text"])
    if kind in ("image", "image_url"):
        value = part.get("image_url", part.get("image"))
        url = value.get("url") if isinstance(value, dict) else value
        if isinstance(url, str):
            return engine.ImagePart(_image_bytes(url, field))
    if kind == "page":
        return _page_part(actor, part, field)
    raise InvalidInput(
        "invalid_part",
        "A part is a text, an image_url with a data URI, or a page with a box.",
        field=field,
    )


def _page_part(actor: Actor, part: dict[str, Any], field: str) -> engine.Part:
    page, box = part.get("page"), part.get("box", [0, 0, 1, 1])
    if type(page) is not int or not isinstance(box, list):
        raise InvalidInput("invalid_part", "page is an id, box a list of numbers.", field=field)
    if not all(type(edge) in (int, float) for edge in box):
        raise InvalidInput("invalid_box", "box has four numbers from 0 to 1.", field=field)
    return page_part(actor, page, box, field=field)


def _image_bytes(url: str, field: str) -> bytes:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise InvalidInput(
            "invalid_image", "Send the image as data:image/png;base64,...", field=field
        )
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise InvalidInput("invalid_image", "The base64 is damaged.", field=field) from error
