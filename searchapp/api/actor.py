"""The actor of an API request, as the authentication left it."""

from typing import Any, cast

from django.http import HttpRequest

from searchapp.access import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Whoever asks; every operation passes it on to `access`."""
    authenticated: Any = request
    return cast(Actor, authenticated.auth)
