"""The edge to the browser: who may enter, and errors as a page, a fragment or JSON.

Knows no rows. Every view of content is wrapped in `signed_in`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.cache import add_never_cache_headers

from searchapp.errors import SearchappError, problem_fields

View = Callable[..., HttpResponseBase]


def signed_in(view: View) -> View:
    """Lets only signed-in people in, answers SearchappErrors, forbids caches to keep anything."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return sign_in_first(request)
        try:
            response = view(request, *args, **kwargs)
        except SearchappError as error:
            response = error_response(request, error)
        add_never_cache_headers(response)
        return response

    return guarded


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks for a fragment; going back in the history wants the whole page."""
    restores = request.headers.get("HX-History-Restore-Request") == "true"
    return request.headers.get("HX-Request") == "true" and not restores


def wants_json(request: HttpRequest) -> bool:
    """Whether a script of ours asks (upload, progress)."""
    return request.headers.get("Accept", "").startswith("application/json")


def error_response(request: HttpRequest, error: SearchappError) -> HttpResponse:
    """The error's sentence and status in the form that the asker can show."""
    if is_api(request):
        return _problem(error.status, error.code, error.message)
    if wants_json(request):
        return error_json(error.code, error.message, error.status)
    template = "parts/error.html" if is_htmx(request) else "error.html"
    return render(request, template, {"error": error}, status=error.status)


def is_api(request: HttpRequest) -> bool:
    """Whether a program asks the JSON API."""
    return request.path.startswith("/api/")


def _problem(status: int, code: str, message: str) -> JsonResponse:
    body = problem_fields(status, code, message)
    return JsonResponse(body, status=status, content_type="application/problem+json")


def error_json(code: str, message: str, status: int) -> JsonResponse:
    """`{"code", "message"}`, as the scripts expect it."""
    return JsonResponse({"code": code, "message": message}, status=status)


def sign_in_first(request: HttpRequest) -> HttpResponse:
    """What those get who are not signed in, in the form that the asker can show."""
    if is_api(request):
        message = "Sign in, or send 'Authorization: Bearer KEY' with a valid API key."
        response = _problem(401, "not_authenticated", message)
        response["WWW-Authenticate"] = "Bearer"
        return response
    if wants_json(request):
        return error_json("signed_out", "You are signed out: reload the page and sign in.", 401)
    if is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": resolve_url("sign-in")})
    return redirect_to_login(request.get_full_path(), resolve_url("sign-in"))
