"""Where the model is: in this process, or behind a client of the engine process."""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

from embedding_engine.remote import EmbedClient
from embedding_engine.types import ModelSource
from searchapp.engine.specs import model_options

if TYPE_CHECKING:
    from embedding_engine.base import Embedder

_lock = threading.Lock()
_inprocess_wanted = False


def use_inprocess() -> None:
    """Hold the model in this process: for commands that run while no engine process does."""
    global _inprocess_wanted
    _inprocess_wanted = True


def is_inprocess() -> bool:
    """Whether the model is held here."""
    return bool(settings.EMBEDDING_INPROCESS) or _inprocess_wanted


def client(timeout: float) -> EmbedClient:
    """To the engine process; `timeout` in seconds."""
    return connected(settings.ENGINE_URL, settings.ENGINE_API_KEY, timeout)


@lru_cache(maxsize=8)
def connected(url: str, api_key: str, timeout: float) -> EmbedClient:
    """One client for each, with its connections."""
    return EmbedClient(url, timeout=timeout, api_key=api_key)


def local_engine(source: ModelSource) -> "Embedder":
    """The model in this process, loaded by the first who asks."""
    from embedding_engine.engine import load_engine

    # Threads that come meanwhile wait for the one that loads.
    with _lock:
        return load_engine(source.model, model_options(source))
