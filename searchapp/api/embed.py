"""The Embed API at the edge of the web server: keys, sizes and load; the engine answers the rest.

The outermost middleware: under its paths no session, form, redirect or page of Django comes into
play, and every error is `{"id", "message"}`. Keys only; a browser's session counts for nothing.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from searchapp import access, engine
from searchapp.engine import WireAnswer, embed_api, error_answer
from searchapp.environment import EMBED_WAITING
from searchapp.room import Full, Room

logger = logging.getLogger(__name__)

_IN_FLIGHT = 24
_WAIT_S = 30.0
# Small bodies wait for no room: with EMBED_WAITING of them there is an end to their bytes.
_SMALL = 1024 * 1024
_LARGE_BYTES = 64 * 1024 * 1024
_PREFIXES = ("/v1/", "/v2/", "/invocations/", "/ping/", "/openapi.json/")
# The engine process answers more (OCR, figures), which is for our own processes.
_PUBLIC = (
    *embed_api.OPEN_PATHS,
    "/invocations",
    "/v1/embed",
    "/v2/embed",
    "/v1/tokenize",
    "/v1/models",
)
_MODEL = "/v1/models/"


class _Refused(Exception):
    """Ends a request with an answer of ours instead of the engine's."""

    def __init__(self, answer: WireAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class EmbedApi:
    """The middleware. Embed calls wait for each other, never in the way of people's requests.

    Of the web server's threads at most EMBED_WAITING are with calls that have a body, and 24 of
    these are with the engine; bodies of over 1 MiB have 64 MiB in all. Questions without a body
    (GET) wait for none of them.
    """

    def __init__(self, get_response: Callable[[WSGIRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._waiting = Room(EMBED_WAITING)
        self._large = Room(_LARGE_BYTES)
        self._in_flight = Room(_IN_FLIGHT)

    def __call__(self, request: WSGIRequest) -> HttpResponseBase:
        """Answers the paths of the Embed API, lets all others through."""
        path = embed_api.canonical_path(request.path)
        if not f"{path}/".startswith(_PREFIXES):
            return self._get_response(request)
        try:
            answer = self._answer(request, path)
        except _Refused as refused:
            answer = refused.answer
        except Full:
            answer = error_answer(503, embed_api.OVERLOADED)
        except Exception:  # the top of a request
            logger.exception("unexpected error at %s", path)
            answer = error_answer(500, "internal error")
        return _response(answer)

    def _answer(self, request: WSGIRequest, path: str) -> WireAnswer:
        _host_check(request)
        if path not in embed_api.OPEN_PATHS and not settings.EMBED_API_OPEN:
            _key_check(request.headers.get("Authorization"))
        method = request.method or "GET"
        if not _is_public(path):
            raise _Refused(error_answer(404, embed_api.NOT_FOUND))
        if refusal := embed_api.route_refusal(method, path):
            raise _Refused(refusal)
        if method != "POST":
            return engine.forward(method, quote(path), b"")
        length = _length(request, path)
        with self._room(length):
            body = _body(request, length)
            with self._in_flight.taken(wait_s=_WAIT_S):
                return engine.forward(method, quote(path), body)

    @contextmanager
    def _room(self, length: int | None) -> Iterator[None]:
        """Raises Full. A body of unknown length may become as long as allowed."""
        size = engine.MAX_BODY_BYTES if length is None else length
        weight = size if size > _SMALL else 0
        with self._waiting.taken(wait_s=0), self._large.taken(weight, wait_s=_WAIT_S):
            yield


def _is_public(path: str) -> bool:
    # Dots would be resolved on the way to the engine: /v1/models/../read.
    is_plain = not {".", ".."} & set(path.split("/"))
    return is_plain and (path in _PUBLIC or path.startswith(_MODEL))


def _host_check(request: WSGIRequest) -> None:
    try:
        request.get_host()
    except DisallowedHost as error:
        message = "invalid request: this host name is not in ALLOWED_HOSTS"
        raise _Refused(error_answer(400, message)) from error


def _key_check(authorization: str | None) -> None:
    """Raises _Refused unless the key may embed. The database connection is given back at once."""
    if authorization == "":
        # What is not ASCII arrives empty from granian: a key, if none of ours.
        raise _Refused(_unauthorized(embed_api.BAD_KEY))
    secret = embed_api.bearer_token(authorization or "")
    if not secret:
        raise _Refused(_unauthorized(embed_api.NO_KEY))
    try:
        actor = access.apikey_actor(secret)
    except DatabaseError as error:
        logger.warning("the key cannot be looked up: %s", error)
        raise _Refused(error_answer(503, embed_api.OVERLOADED)) from error
    finally:
        # Tests run inside a transaction, which a close would end.
        if not connection.in_atomic_block:
            connection.close()
    if actor is None:
        raise _Refused(_unauthorized(embed_api.BAD_KEY))
    if "embed" not in actor.scopes:
        raise _Refused(error_answer(403, "this api key lacks the scope 'embed'"))


def _unauthorized(message: str) -> WireAnswer:
    return error_answer(401, message, (("www-authenticate", "Bearer"),))


def _length(request: WSGIRequest, path: str) -> int | None:
    """Bytes of the body, None when it comes in chunks. Raises _Refused before a byte is read."""
    headers = {name.lower(): text for name, text in request.headers.items()}
    length = headers.get("content-length") or "0"
    if not (length.isascii() and length.isdigit()):
        raise _Refused(error_answer(400, "invalid request: Content-Length is no number"))
    if int(length[:20]) > engine.MAX_BODY_BYTES:
        raise _Refused(embed_api.too_large_answer())
    if refusal := embed_api.media_type_refusal(path, headers):
        raise _Refused(refusal)
    return None if "transfer-encoding" in headers else int(length)


def _body(request: WSGIRequest, length: int | None) -> bytes:
    """The whole body. Raises _Refused when it is too long, or shorter than it said."""
    stream = request.META["wsgi.input"] if length is None else request
    ended_early = error_answer(400, "invalid request: the body ended early")
    try:
        body: bytes = stream.read(engine.MAX_BODY_BYTES + 1)
    except OSError as error:
        raise _Refused(ended_early) from error
    if len(body) > engine.MAX_BODY_BYTES:
        raise _Refused(embed_api.too_large_answer())
    if length is not None and len(body) < length:
        raise _Refused(ended_early)
    return body


def _response(answer: WireAnswer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    for name, text in answer.headers:
        response[name] = text
    response["Content-Length"] = str(len(answer.body))
    return response
