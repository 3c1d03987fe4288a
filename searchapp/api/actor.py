"""The actor of an API request, as the authentication left it, and what its key may read."""

from typing import Any, cast

from django.http import HttpRequest

from searchapp import access
from searchapp.access import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Whoever asks; every operation passes it on to `access`."""
    authenticated: Any = request
    return cast(Actor, authenticated.auth)


def reader_of(request: HttpRequest, *others: str) -> Actor:
    """Whoever reads: the key carries `search` or one of the `others`. Raises Forbidden."""
    actor = actor_of(request)
    access.require_scope(actor, "search", *others)
    return actor
