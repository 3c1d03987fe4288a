"""What other servers' statuses and error bodies mean, in terms of ours. Pure functions."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from embedding_engine.errors import (
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    InputTooLarge,
    InvalidInput,
    ModelNotFound,
    ModelUnavailable,
    RateLimited,
    TooManyTokens,
    Unauthorized,
)
from embedding_engine.types import WireAnswer
from embedding_engine.wire import TOO_MANY_TOKENS

_MESSAGE_CHARACTERS = 1_000
_LONGEST_RETRY_AFTER_S = 86_400.0

_ERRORS: Mapping[int, type[EngineError]] = {
    400: InvalidInput,
    401: Unauthorized,
    403: Unauthorized,
    404: ModelNotFound,
    413: InputTooLarge,
    422: InvalidInput,
    500: EngineFailed,
    501: ModelUnavailable,
    504: EngineTimeout,
}
_PLACE = re.compile(r"\b(?:texts|images|inputs)\[(\d+)\]")


def error_of(answer: WireAnswer) -> EngineError:
    """The error that a status of 300 or more stands for, with the server's message."""
    message = _message(answer)
    status = answer.status
    if status == 400 and message.startswith(TOO_MANY_TOKENS):
        return TooManyTokens(message.removeprefix(TOO_MANY_TOKENS))
    if status in _ERRORS:
        return _ERRORS[status](message)
    if status == 429:
        return RateLimited(message, retry_after_s=retry_after(answer))
    if status >= 500 or status == 408:
        return EngineUnavailable(message, retry_after_s=retry_after(answer))
    return ModelUnavailable(message)


def _message(answer: WireAnswer) -> str:
    """Of `{message}`, of OpenAI's `{error: {message}}`, FastAPI's `{detail}`, AWS's `{Message}`."""
    if 300 <= answer.status < 400:
        return f"the server redirects ({answer.status}), which is not followed: use its new address"
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    content = found if isinstance(found, dict) else {}
    error = content.get("error")
    said = (
        content.get("message"),
        content.get("Message"),
        error.get("message") if isinstance(error, dict) else error,
        content.get("detail"),
    )
    message = next((str(one) for one in said if one), f"the server answered {answer.status}")
    return message[:_MESSAGE_CHARACTERS].removeprefix("invalid request: ")


def retry_after(answer: WireAnswer) -> float | None:
    """Seconds from now, a day at most, of a number of seconds or a date."""
    value = dict(answer.headers).get("retry-after", "")
    try:
        seconds = _seconds(value)
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else None


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        date = parsedate_to_datetime(value)
    return (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def at_places(error: EngineError, places: Sequence[int]) -> EngineError:
    """The error of one batch in terms of the whole call: texts[3] becomes inputs[99]."""

    def place(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"inputs[{places[number]}]" if number < len(places) else found[0]

    if not isinstance(error, InvalidInput):
        return error
    return type(error)(_PLACE.sub(place, error.message))
