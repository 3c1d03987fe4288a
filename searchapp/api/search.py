"""POST /search and GET /search?q=."""

import base64
from typing import Any

from django.http import HttpRequest
from ninja import Query as QueryParameters
from ninja import Router

from searchapp import engine
from searchapp.api.actor import actor_of
from searchapp.api.schemas import SearchIn, SearchOut
from searchapp.errors import InvalidInput
from searchapp.search.query import Filters, Query, text_query
from searchapp.search.search import search_pages

router = Router()


@router.post("/search", response=SearchOut)
def search_post(request: HttpRequest, payload: SearchIn) -> SearchOut:
    """Pages by words, a picture, or both interleaved."""
    content = payload.query
    parts = (engine.TextPart(content),) if isinstance(content, str) else _parts(content.content)
    query = Query(
        parts=parts,
        filters=Filters(
            collections=tuple(payload.filters.collections),
            documents=tuple(payload.filters.documents),
            types=tuple(payload.filters.types),
            tags=tuple(payload.filters.tags),
        ),
        limit=payload.limit,
        oversampling=payload.oversampling,
        group=payload.group,
    )
    return SearchOut.from_answer(search_pages(actor=actor_of(request), query=query))


@router.get("/search", response=SearchOut)
def search_get(
    request: HttpRequest,
    q: str,
    limit: int = 10,
    group: bool = False,
    collection: QueryParameters[list[str]] = [],  # noqa: B006  (ninja reads the default)
) -> SearchOut:
    """Pages by words."""
    query = text_query(q, limit=limit, group=group, filters=Filters(collections=tuple(collection)))
    return SearchOut.from_answer(search_pages(actor=actor_of(request), query=query))


def _parts(content: list[dict[str, Any]]) -> tuple[engine.Part, ...]:
    return tuple(_part(part, f"query.content.{i}") for i, part in enumerate(content))


def _part(part: dict[str, Any], field: str) -> engine.Part:
    """`{"type": "text", "text"}`, or an image as any Embed v2 client writes it."""
    if isinstance(part.get("text"), str) and part.get("type", "text") == "text":
        return engine.TextPart(part["text"])
    if part.get("type") in ("image", "image_url"):
        value = part.get("image_url", part.get("image"))
        url = value.get("url") if isinstance(value, dict) else value
        if isinstance(url, str):
            return engine.ImagePart(_image_bytes(url, field))
    raise InvalidInput(
        "invalid_part", "A part is a text, or an image_url with a data URI.", field=field
    )


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
