"""Who may see and do what: the one way in to everything that belongs to somebody.

Every read of content starts at `visible_collections`, `visible_documents` or `visible_pages`; what
one may not see does not exist (404, never 403).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from searchapp.errors import Forbidden, InvalidInput, NotFound
from searchapp.models import ApiKey, Collection, Document, Membership, Page, SigninLink
from searchapp.models.storable import is_row_id, require_storable

ALL_SCOPES = frozenset(str(scope) for scope in ApiKey.Scope.values)
DEFAULT_KEY_SCOPES = ("search", "upload", "collections", "embed")
_WRITERS = (Membership.Role.EDITOR, Membership.Role.OWNER)
_LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks: a user, narrowed by the scopes and collections of the API key they came with.

    collection_ids: None means no narrowing; an empty set means nothing at all.
    """

    user_id: int | None
    is_superuser: bool = False
    scopes: frozenset[str] = ALL_SCOPES
    collection_ids: frozenset[int] | None = None

    @classmethod
    def from_user(cls, user: AbstractBaseUser | AnonymousUser) -> "Actor":
        """A signed-in person; anonymous and inactive users see nothing."""
        if not user.is_authenticated or not user.is_active:
            return cls(user_id=None, scopes=frozenset())
        return cls(user_id=user.pk, is_superuser=bool(getattr(user, "is_superuser", False)))


SYSTEM = Actor(user_id=None, is_superuser=True)
"""The commands and workers of this machine, which act for nobody."""


def require_scope(actor: Actor, *scopes: str) -> None:
    """Raises Forbidden unless the actor's key carries one of `scopes`."""
    if actor.scopes.isdisjoint(scopes):
        named = " or ".join(f"'{scope}'" for scope in scopes)
        raise Forbidden("missing_scope", f"This key lacks the scope {named}.")


def _memberships(actor: Actor) -> QuerySet[Membership]:
    return Membership.objects.filter(
        Q(user_id=actor.user_id) | Q(group__user=actor.user_id), collection=OuterRef("pk")
    )


def _narrowed(actor: Actor) -> QuerySet[Collection]:
    collections = Collection.objects.all()
    if actor.collection_ids is not None:
        collections = collections.filter(pk__in=actor.collection_ids)
    return collections


def visible_collections(actor: Actor) -> QuerySet[Collection]:
    """Collections whose pages the actor may find."""
    if actor.is_superuser:
        return _narrowed(actor)
    if actor.user_id is None:
        return Collection.objects.none()
    return _narrowed(actor).filter(
        Q(visibility=Collection.Visibility.EVERYONE) | Exists(_memberships(actor))
    )


# Stands for the user in the statement that is written once for all.
_SOMEBODY = -1


@lru_cache(maxsize=1)
def _visible_statement() -> tuple[str, tuple[Any, ...]]:
    visible = visible_collections(Actor(user_id=_SOMEBODY)).values_list("slug", "pk")
    return visible.query.sql_with_params()


def visible_collection_ids(actor: Actor) -> dict[str, int]:
    """Ids by slug of `visible_collections`, for every search: the ORM takes ten times as long to
    write the statement as Postgres to answer it."""
    if actor.is_superuser or actor.user_id is None:
        return dict(visible_collections(actor).values_list("slug", "pk"))
    sql, parameters = _visible_statement()
    with connection.cursor() as cursor:
        cursor.execute(sql, [actor.user_id if p == _SOMEBODY else p for p in parameters])
        found = dict(cursor.fetchall())
    bound = actor.collection_ids
    return {slug: pk for slug, pk in found.items() if bound is None or pk in bound}


def writable_collections(actor: Actor) -> QuerySet[Collection]:
    """Collections the actor may upload to and delete from."""
    if actor.is_superuser:
        return _narrowed(actor)
    if actor.user_id is None:
        return Collection.objects.none()
    return _narrowed(actor).filter(Exists(_memberships(actor).filter(role__in=_WRITERS)))


def visible_documents(actor: Actor) -> QuerySet[Document]:
    """Documents of the visible collections."""
    return Document.objects.filter(collection__in=visible_collections(actor))


def visible_pages(actor: Actor) -> QuerySet[Page]:
    """Pages of the visible collections: behind search, pictures, originals, counts, everything."""
    return Page.objects.filter(document__collection__in=visible_collections(actor))


def visible_document_get(actor: Actor, document_id: int) -> Document:
    """Raises NotFound also for what the actor may not see."""
    documents = visible_documents(actor).select_related("collection")
    document = documents.filter(pk=document_id).first() if is_row_id(document_id) else None
    if document is None:
        raise NotFound("document_not_found", "There is no such document.")
    return document


def visible_page_get(actor: Actor, page_id: int) -> Page:
    """Raises NotFound also for what the actor may not see."""
    pages = visible_pages(actor).select_related("document__collection")
    page = pages.filter(pk=page_id).first() if is_row_id(page_id) else None
    if page is None:
        raise NotFound("page_not_found", "There is no such page.")
    return page


def visible_collection_get(actor: Actor, slug: str) -> Collection:
    """The collection of that slug. Raises InvalidInput also for what the actor may not see."""
    require_storable(slug, "collection")
    collection = visible_collections(actor).filter(slug=slug).first()
    if collection is None:
        raise InvalidInput(
            "unknown_collection", f"There is no collection '{slug}'.", field="collection"
        )
    return collection


def writable_collection_get(actor: Actor, slug: str) -> Collection:
    """The collection to write to. Raises InvalidInput (not visible), Forbidden (visible only)."""
    collection = visible_collection_get(actor, slug)
    if not writable_collections(actor).filter(pk=collection.pk).exists():
        raise Forbidden("read_only_collection", f"You may not change collection '{slug}'.")
    return collection


def require_writable(actor: Actor, document: Document) -> None:
    """Raises Forbidden unless the actor may change this (visible) document."""
    if not writable_collections(actor).filter(pk=document.collection_id).exists():
        raise Forbidden("read_only_collection", "You may not change this collection.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def apikey_create(*, name: str, user: User, scopes: tuple[str, ...] = DEFAULT_KEY_SCOPES) -> str:
    """A new key; the secret is returned once and stored hashed (256 random bits need no salt)."""
    secret = "sk_" + secrets.token_urlsafe(32)
    ApiKey.objects.create(
        name=name, user=user, prefix=secret[:8], secret_hash=_hash(secret), scopes=list(scopes)
    )
    return secret


# Before each request of a program: written out, it costs a fifth of what the ORM takes to write it.
_KEY = """
SELECT key.id, key.last_used_at, key.user_id, person.is_superuser, key.scopes,
    CASE WHEN key.is_bound THEN ARRAY(
        SELECT collection_id FROM searchapp_apikey_collections WHERE apikey_id = key.id
    ) END
FROM searchapp_apikey key JOIN auth_user person ON person.id = key.user_id
WHERE key.secret_hash = %s AND person.is_active AND (key.expires_at > %s OR key.expires_at IS NULL)
"""


def apikey_actor(secret: str) -> Actor | None:
    """The actor behind a bearer secret; None when it is unknown, expired or its user inactive."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_KEY, [_hash(secret), now])
        row = cursor.fetchone()
    if row is None:
        return None
    key_id, last_used_at, user_id, is_superuser, scopes, bound = row
    if last_used_at is None or last_used_at < now - _LAST_USED_EVERY:
        ApiKey.objects.filter(pk=key_id).update(last_used_at=now)
    return Actor(
        user_id=user_id,
        is_superuser=is_superuser,
        scopes=frozenset(scopes),
        collection_ids=None if bound is None else frozenset(bound),
    )


def first_admin_get() -> User:
    """The administrator that a fresh installation begins with (no password: sign-in by link)."""
    users = User.objects
    admin = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return admin or users.create_superuser("admin", password=None)


def service_user_get(name: str) -> User:
    """The user without password that API keys of the same name act as."""
    user, _ = User.objects.get_or_create(username=f"api-{name}"[:150])
    return user


def signin_link_create(*, user: User | None = None, hours: int = 24) -> str:
    """A path that signs `user` (default: the first administrator) in once."""
    secret = secrets.token_urlsafe(32)
    SigninLink.objects.filter(expires_at__lt=timezone.now()).delete()
    SigninLink.objects.create(
        user=user or first_admin_get(),
        secret_hash=_hash(secret),
        expires_at=timezone.now() + timedelta(hours=hours),
    )
    return f"/sign-in/{secret}"


def signin_link_use(secret: str) -> User | None:
    """The link's user, the first time and in time; None otherwise. Safe against two at once."""
    now = timezone.now()
    link = SigninLink.objects.filter(secret_hash=_hash(secret), expires_at__gt=now)
    if link.filter(used_at=None).update(used_at=now) != 1:
        return None
    user = link.select_related("user").get().user
    return user if user.is_active else None
