"""GET and POST /collections."""

from django.http import HttpRequest
from ninja import Router, Status

from searchapp import access, library
from searchapp.api.actor import actor_of, reader_of
from searchapp.api.schemas import CollectionIn, CollectionOut

router = Router()


@router.get("/collections", response=list[CollectionOut])
def collection_list(request: HttpRequest) -> list[CollectionOut]:
    """The collections you may see."""
    rows = library.collection_list(reader_of(request, "upload", "collections"))
    return [CollectionOut.from_row(row) for row in rows]


@router.post("/collections", response={201: CollectionOut})
def collection_create(request: HttpRequest, payload: CollectionIn) -> Status[CollectionOut]:
    """Make a collection; you become its owner."""
    actor = actor_of(request)
    access.require_scope(actor, "collections")
    row = library.collection_create(
        actor=actor, name=payload.name, slug=payload.slug, visibility=payload.visibility
    )
    return Status(201, CollectionOut.from_row(row))
