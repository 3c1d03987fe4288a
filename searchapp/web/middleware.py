"""What every answer has: a Content-Security-Policy; of the API, problems. Knows no view."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from searchapp.errors import SearchappError
from searchapp.web.edge import error_response, is_api

_STRICT = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)
# The admin (Alpine.js) and the API's docs (Swagger UI) carry inline scripts and evaluate code.
_LOOSE = _STRICT + (
    "; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:"
)
_LOOSE_PATHS = ("/admin/", "/api/v1/docs")


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Nothing but our own files, no inline script; the admin and the API's docs are looser."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        policy = _LOOSE if request.path.startswith(_LOOSE_PATHS) else _STRICT
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return middleware


def method_problems(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """405 of the API as problem+json, which Ninja answers as a text of its own."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code != 405 or not is_api(request):
            return response
        methods = ", ".join(sorted(response["Allow"].split(", ")))
        error = SearchappError("method_not_allowed", f"Use {methods} here.")
        error.status = 405
        problem = error_response(request, error)
        problem["Allow"] = methods
        return problem

    return middleware
