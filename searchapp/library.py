"""What is kept: collections and documents; listing, deleting, removing the demo."""

from itertools import chain, count
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils.text import slugify

from searchapp import access, storage
from searchapp.access import Actor
from searchapp.errors import InvalidInput
from searchapp.models import Collection, Document, Job, Membership, Page
from searchapp.models.storable import is_storable, require_storable

# --- collections -----------------------------------------------------------------------------


def collection_create(
    *,
    actor: Actor,
    name: str,
    slug: str = "",
    visibility: str = Collection.Visibility.PRIVATE,
    is_demo: bool = False,
) -> Collection:
    """A new collection, owned by the actor's user; without a slug it gets a free one of its name.

    Raises InvalidInput (name, slug, visibility).
    """
    name = name.strip()
    if not name or len(name) > 200 or not is_storable(name):
        raise InvalidInput("invalid_name", "Give a name of 1 to 200 characters.", field="name")
    is_derived = not slug
    slug = slug or _free_slug(name)
    if slug != slugify(slug) or len(slug) > 100:
        raise InvalidInput(
            "invalid_slug", "A slug has lower-case letters, digits and '-'.", field="slug"
        )
    if visibility not in Collection.Visibility.values:
        allowed = ", ".join(Collection.Visibility.values)
        raise InvalidInput(
            "invalid_visibility", f"visibility is one of {allowed}.", field="visibility"
        )
    try:
        with transaction.atomic():
            return _collection_insert(actor, name, slug, visibility, is_demo)
    except IntegrityError as error:
        if is_derived and Collection.objects.filter(slug=slug).exists():  # taken this moment
            return collection_create(actor=actor, name=name, visibility=visibility, is_demo=is_demo)
        raise InvalidInput(
            "slug_taken", f"There is already a collection '{slug}'.", field="slug"
        ) from error


def _free_slug(name: str) -> str:
    """The name as a slug, with the first free number behind it where it is taken: also by
    collections that the actor does not know of."""
    stem = slugify(name)[:90].strip("-_") or "collection"
    taken = set(Collection.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    numbered = (f"{stem}-{number}" for number in count(2))
    return next(slug for slug in chain([stem], numbered) if slug not in taken)


def _collection_insert(
    actor: Actor, name: str, slug: str, visibility: str, is_demo: bool
) -> Collection:
    collection = Collection.objects.create(
        name=name,
        slug=slug,
        visibility=visibility,
        is_demo=is_demo,
        created_by_id=actor.user_id,
    )
    if actor.user_id is not None:
        owner = User.objects.get(pk=actor.user_id)
        Membership.objects.create(collection=collection, user=owner, role=Membership.Role.OWNER)
    return collection


def collection_list(actor: Actor) -> QuerySet[Collection]:
    """Visible collections with `document_count` and `ready_count`."""
    ready = Q(documents__status__in=[Document.Status.READY, Document.Status.PARTIAL])
    counted = access.visible_collections(actor).annotate(
        document_count=Count("documents"), ready_count=Count("documents", filter=ready)
    )
    # Grouping drops the order of the model's Meta.
    return counted.order_by("name", "pk")


def collection_delete(collection: Collection) -> int:
    """Remove a collection with its documents, vectors and files; how many documents went."""
    document_ids = list(collection.documents.values_list("pk", flat=True))
    for document_id in document_ids:
        _document_remove(document_id)
    collection.delete()
    return len(document_ids)


# --- documents -------------------------------------------------------------------------------


def document_list(
    actor: Actor, *, collection: str = "", status: str = "", kind: str = ""
) -> QuerySet[Document]:
    """Visible documents, newest first, with the counts of `with_counts`. Raises InvalidInput."""
    documents: QuerySet[Document] = with_counts(
        access.visible_documents(actor).select_related("collection")
    )
    # Grouping drops the order of the model's Meta.
    documents = documents.order_by("-created_at", "-pk")
    for field, value in (("collection", collection), ("status", status), ("type", kind)):
        require_storable(value, field)
    if collection:
        documents = documents.filter(collection__slug=collection)
    if status:
        documents = documents.filter(status=status)
    if kind:
        documents = documents.filter(kind=kind)
    return documents


def with_counts(documents: QuerySet[Document]) -> Any:
    """Annotate page counts by what became of them."""
    failed = Q(pages__state=Page.State.FAILED)
    return documents.annotate(
        pages_total=Count("pages"),
        pages_failed=Count("pages", filter=failed),
        pages_read=Count("pages", filter=~failed & ~Q(pages__step=Page.Step.READ)),
        pages_done=Count("pages", filter=Q(pages__step=Page.Step.DONE)),
    )


def document_delete(*, actor: Actor, document: Document) -> None:
    """Remove rows, vectors and files. Raises Forbidden for read-only collections."""
    access.require_writable(actor, document)
    _document_remove(document.pk)


def _document_remove(document_id: int) -> None:
    with transaction.atomic():
        # Job before document, as everywhere: a page stored meanwhile then finds nothing to join.
        list(Job.objects.select_for_update().filter(document_id=document_id))
        list(Document.objects.select_for_update().filter(pk=document_id))
        Document.objects.filter(pk=document_id).delete()
        transaction.on_commit(lambda: storage.files_delete(document_id))


def page_neighbours(page: Page) -> tuple[Page | None, Page | None]:
    """The pages before and after, by number; None at the ends."""
    pages = Page.objects.filter(document_id=page.document_id)
    before = pages.filter(number__lt=page.number).order_by("-number").first()
    after = pages.filter(number__gt=page.number).order_by("number").first()
    return before, after


def demo_remove() -> int:
    """Remove the demo collection with all its documents; how many there were."""
    return sum(
        collection_delete(collection) for collection in Collection.objects.filter(is_demo=True)
    )
