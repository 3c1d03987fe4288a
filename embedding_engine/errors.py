"""Engine errors: a stable code, and whether trying again can help. Knows no HTTP and no app."""

from typing import ClassVar


class EngineError(Exception):
    """Root of the engine's errors. `message` is a sentence that may be shown to the caller."""

    code: ClassVar[str] = "engine_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(EngineError):
    """The request or one of its inputs is not acceptable; the message names which."""

    code = "invalid_input"


class InvalidImage(InvalidInput):
    """The bytes are not an image that can be decoded safely."""

    code = "invalid_image"


class TooManyTokens(InvalidInput):
    """Longer than allowed, and cutting was not wanted."""

    code = "too_many_tokens"


class InputTooLarge(InvalidInput):
    """The body has more bytes than one request may have."""

    code = "input_too_large"


class ModelNotFound(EngineError):
    """No model of that name."""

    code = "model_not_found"


class ModelUnavailable(EngineError):
    """The model's files are missing, damaged, or cannot run on this machine."""

    code = "model_unavailable"


class EngineUnavailable(EngineError):
    """Nobody answers at the engine's address, or it is overloaded; later it may work.

    `retry_after_s`: when, as far as that is known.
    """

    code = "engine_unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelLoading(EngineUnavailable):
    """The model is on its way into memory."""

    code = "model_loading"


class DeviceLost(EngineUnavailable):
    """The device answers nothing more in this program; a new process may well be able to."""


class RateLimited(EngineUnavailable):
    """The server is alive and wants fewer requests."""


class EngineLost(EngineUnavailable):
    """The connection broke while the engine worked: it may have died over this very request."""

    code = "engine_lost"


class EngineTimeout(EngineError):
    """The engine did not answer in time."""

    code = "engine_timeout"
    retryable = True


class EngineFailed(EngineError):
    """The engine answers, but broke down over this request; another request may well do."""

    code = "engine_failed"
    retryable = True


class DeviceOutOfMemory(EngineFailed):
    """The device's memory does not hold this batch, or, when a caller sees it, this one input."""

    code = "out_of_memory"
    retryable = False


class RequestCancelled(EngineError):
    """The caller went away before the answer was there."""

    code = "request_cancelled"


class Unauthorized(EngineError):
    """The key is missing or wrong."""

    code = "unauthorized"
