"""Bodies of requests: how large they may be, and whose files reach the disk. Knows no view.

Django reads a form before any view runs, to find the CSRF token in it: what shall not be kept is
refused here, and faults of the reading are answered here.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import (
    FileUploadHandler,
    StopUpload,
    TemporaryFileUploadHandler,
)
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from searchapp.errors import SearchappError
from searchapp.storage import storage_error
from searchapp.uploads import file_too_large
from searchapp.web.edge import error_response, sign_in_first

# What a multipart body holds beside the file.
_ROOM = 1024 * 1024
# Whoever says not even who they are signs in, and a sign-in form is small.
_STRANGERS_BODY = 1024 * 1024


class BodyLimits:
    """The middleware. It stands before CSRF's, which reads the form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuses by Content-Length, before a byte of the body is read."""
        try:
            length = _length(request)
        except SearchappError as error:
            return error_response(request, error)
        if length > _STRANGERS_BODY and _is_stranger(request):
            return sign_in_first(request)
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Reads the form of a page now, where a full disk can still be answered."""
        if request.method == "POST" and not getattr(view, "csrf_exempt", False):
            try:
                _ = request.POST
            except SearchappError as error:
                return error_response(request, error)
        return None


def _length(request: HttpRequest) -> int:
    """The declared size in bytes. Raises SearchappError: none declared, no number, too large."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if not text and "HTTP_TRANSFER_ENCODING" in request.META:
        raise _refused(411, "length_required", "Send the body with its Content-Length.")
    if text and not (text.isascii() and text.isdigit()):
        raise _refused(400, "bad_request", "Content-Length is no number.")
    length = int(text[:20] or 0)
    if length > settings.MAX_UPLOAD + _ROOM:
        raise file_too_large()
    return length


def _refused(status: int, code: str, message: str) -> SearchappError:
    error = SearchappError(code, message)
    error.status = status
    return error


def _is_stranger(request: HttpRequest) -> bool:
    has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
    return not has_session and "HTTP_AUTHORIZATION" not in request.META


class KnownSendersOnly(FileUploadHandler):
    """First of the upload handlers: files of people and keys that nobody knows go nowhere."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Stops the reading of the body unless its sender is known."""
        super().new_file(*args, **kwargs)
        user = getattr(self.request, "user", None)
        is_signed_in = user is not None and user.is_authenticated
        if not is_signed_in and not getattr(self.request, "auth", None):
            raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Passed on to the next handler."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Nothing is kept here."""


class BoundedTemporaryFile(TemporaryFileUploadHandler):
    """Django's temporary file, no larger than MAX_UPLOAD; a full disk is said in words."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Raises SearchappError when no file can be made."""
        try:
            super().new_file(*args, **kwargs)
        except OSError as error:
            raise storage_error(error) from error

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Raises FileTooLarge, SearchappError when it cannot be written."""
        if start + len(raw_data) > settings.MAX_UPLOAD:
            raise file_too_large()
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError as error:
            raise storage_error(error) from error
