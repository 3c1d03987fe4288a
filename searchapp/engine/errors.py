"""The engine's errors in the product's words."""

from embedding_engine import errors as engine_errors
from searchapp.errors import EngineFailed, EngineLost, InvalidInput, SearchappError, Unavailable


def translated(error: engine_errors.EngineError) -> SearchappError:
    """What is the input's fault, what is wrong over this input, and what is wrong with any.

    A missing model or a refused key is mended at the engine, not in the documents: they wait.
    """
    if isinstance(error, engine_errors.InvalidInput):
        return InvalidInput(error.code, error.message)
    if isinstance(error, engine_errors.EngineFailed | engine_errors.EngineTimeout):
        return EngineFailed(error.message)
    if isinstance(error, engine_errors.EngineLost):
        return EngineLost(error.message)
    return Unavailable(error.code, error.message)
