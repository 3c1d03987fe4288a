"""The JSON API under /api/v1/: who is asking, and errors as application/problem+json."""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from searchapp import access
from searchapp.access import Actor
from searchapp.api import collections, documents, judgements, meters, pages, search
from searchapp.errors import Forbidden, SearchappError, problem_fields

logger = logging.getLogger(__name__)


class BearerKey(HttpBearer):
    """`Authorization: Bearer sk_...`, any case of the scheme."""

    openapi_description = "An API key from `manage.py apikey_create NAME`"

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        """The key's actor; None refuses."""
        return access.apikey_actor(token.strip())


class SignedIn(APIKeyCookie):
    """The session cookie of the browser; changes need the CSRF token."""

    param_name = "sessionid"

    def __init__(self) -> None:
        super().__init__(csrf=False)

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor | None:
        """The signed-in user's actor; raises Forbidden for a change without CSRF token."""
        if not request.user.is_authenticated:
            return None
        if check_csrf(request) is not None:
            raise Forbidden("csrf_failed", "The CSRF token is missing or wrong.")
        return Actor.from_user(request.user)


api = NinjaAPI(
    title="Search API",
    version="1",
    description="Upload slides, PDFs and images; find the page by meaning.",
    auth=[BearerKey(), SignedIn()],
    urls_namespace="api",
    docs_url="/docs",
)
api.add_router("", collections.router, tags=["collections"])
api.add_router("", documents.router, tags=["documents"])
api.add_router("", pages.router, tags=["pages"])
api.add_router("", search.router, tags=["search"])
api.add_router("", judgements.router, tags=["search"])
api.add_router("", meters.router, tags=["meters"])


def problem(
    request: HttpRequest, status: int, code: str, message: str, **extra: Any
) -> HttpResponse:
    """The fields of `problem_fields` as application/problem+json."""
    body = problem_fields(status, code, message, **extra)
    response = api.create_response(request, body, status=status)
    response["Content-Type"] = "application/problem+json"
    if status in {429, 503}:
        response["Retry-After"] = "5"
    return response


@api.exception_handler(SearchappError)
def _searchapp_error(request: HttpRequest, error: SearchappError) -> HttpResponse:
    return problem(
        request,
        error.status,
        error.code,
        error.message,
        field=error.field,
        retryable=error.retryable or None,
    )


@api.exception_handler(ValidationError)
def _validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    faults = [{"field": _field(e["loc"]), "message": _fault(e)} for e in error.errors]
    first = faults[0]
    is_unknown = error.errors[0]["type"] == "extra_forbidden"
    return problem(
        request,
        422,
        "invalid_field",
        first["message"] if is_unknown else f"{first['field']}: {first['message']}",
        field=first["field"],
        errors=faults,
    )


def _fault(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return f"There is no field '{str(error['loc'][-1])[:40]}'."
    return str(error["msg"])


def _field(location: tuple[Any, ...]) -> str:
    """Where it is, without what comes first: body, query, form, file or path."""
    skipped = {"payload", "function-after", "upload"}
    names = (str(part) for part in location[1:] if part not in skipped)
    return ".".join(names) or str(location[0])


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    message = "Sign in, or send 'Authorization: Bearer KEY' with a valid API key."
    response = problem(request, 401, "not_authenticated", message)
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(request, 404, "not_found", "There is nothing at this address.")


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(request, error.status_code, "bad_request", str(error))


@api.exception_handler(RequestDataTooBig)
def _body_too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024**2
    message = f"A request without a file has at most {limit} MB."
    return problem(request, 413, "body_too_large", message)


@api.exception_handler(SuspiciousOperation)
@api.exception_handler(BadRequest)
@api.exception_handler(MultiPartParserError)
@api.exception_handler(UnreadablePostError)
@api.exception_handler(UnicodeDecodeError)
@api.exception_handler(LookupError)
def _unreadable(request: HttpRequest, error: Exception) -> HttpResponse:
    """What Django raises over bodies that cannot be read; LookupError: an unknown charset."""
    if isinstance(error, KeyError | IndexError):
        return _unexpected(request, error)
    return problem(request, 400, "bad_request", f"The request cannot be read: {error}")


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.exception("unexpected error at %s", request.path)
    return problem(request, 500, "internal_error", "Something went wrong; the log says more.")
