"""Errors with a stable code, raised anywhere and translated only at the edges.

Knows nothing of HTTP frameworks: `status` is the number an edge may use. `retryable` is decided by
whoever raises. The codes are listed in docs/errors.md.
"""

import logging

logger = logging.getLogger(__name__)


class SearchappError(Exception):
    """An expected failure: `code` is stable, `message` says the cause and what to do."""

    status = 400

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


def problem_fields(status: int, code: str, message: str, **extra: object) -> dict[str, object]:
    """An RFC 9457 answer: type, title, status, detail, and our stable `code`."""
    return {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": message,
        **{key: value for key, value in extra.items() if value is not None},
    }


class InvalidInput(SearchappError):
    """What the caller sent cannot be used; `field` names the culprit."""

    status = 422


class NotFound(SearchappError):
    """Not there, or not visible to this user: the two are never told apart."""

    status = 404


class Forbidden(SearchappError):
    """The caller sees the thing but may not do this to it."""

    status = 403


class FileRejected(SearchappError):
    """An upload that is not accepted (unknown type, empty, too large, encrypted, corrupt)."""

    status = 422


class FileTooLarge(FileRejected):
    """An upload of more bytes than MAX_UPLOAD."""

    status = 413


class RenderFailed(SearchappError):
    """A document or page that could not be rendered."""

    status = 422


def unexpected(error: Exception, what: str) -> SearchappError:
    """A fault nobody foresaw, logged with its traceback, as something that may be tried again."""
    logger.error("unexpected fault at %s", what, exc_info=error)
    return SearchappError(
        "internal_error",
        f"An unexpected fault ({type(error).__name__}); the log says more.",
        retryable=True,
    )


class Unavailable(SearchappError):
    """A part of the system is down or overloaded; trying again later helps."""

    status = 503

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, retryable=True)


class TooMany(SearchappError):
    """More at once than anyone needs; trying again a little later helps."""

    status = 429

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, retryable=True)


class EngineLost(Unavailable):
    """The engine went away in the middle: by chance, or because it died over this very input."""

    def __init__(self, message: str) -> None:
        super().__init__("engine_lost", message)


class EngineFailed(SearchappError):
    """The engine is there, but this input made it fail or took it too long.

    Trying again may help; an input that fails each time is at fault itself.
    """

    status = 502

    def __init__(self, message: str) -> None:
        super().__init__("engine_failed", message, retryable=True)
