"""What models are: which one the settings name, what is known of it, how it is loaded.

Asks nobody. Knows no vectors and no rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from embedding_engine.errors import ModelNotFound
from embedding_engine.registry import ModelSpec, model_spec
from embedding_engine.types import ModelOptions, ModelSource


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What the vectors of one index have in common: the weights, where they are, the dimension."""

    source: ModelSource
    spec: ModelSpec
    dimension: int


def configured() -> ModelSource:
    """The model that the settings name: of the first index, and of the next one to be built."""
    return ModelSource(
        settings.EMBEDDING_MODEL, settings.EMBEDDING_REVISION, settings.EMBEDDING_URL
    )


def known_spec(source: ModelSource | None = None) -> ModelSpec | None:
    """The spec, when it is known without asking anybody."""
    source = source or configured()
    if source.url:
        return None
    try:
        registered = model_spec(source.model)
    except ModelNotFound:
        return None
    return registered if registered.is_bundled else None


def described(spec: ModelSpec) -> dict[str, Any]:
    """A spec as JSON, in the terms of /v1/models; `spec_described` gives it back."""
    return {
        "name": spec.name,
        "dimensions": list(spec.dimensions),
        "default_dimension": spec.default_dimension,
        "lanes": list(spec.lanes),
        "context_length": spec.context_tokens,
        "window_tokens": spec.window_tokens,
        "revision": spec.revision,
        "languages": list(spec.languages),
    }


def spec_described(model: Mapping[str, Any]) -> ModelSpec:
    """The spec of a model that is loaded elsewhere. KeyError, TypeError for another's words."""
    return ModelSpec(
        name=model["name"],
        implementation="",  # nothing is loaded here: the engine has it
        dimensions=tuple(model["dimensions"]),
        default_dimension=model["default_dimension"],
        lanes=tuple(model["lanes"]),
        context_tokens=model["context_length"],
        window_tokens=model["window_tokens"],
        revision=model["revision"],
        languages=tuple(model["languages"]),
    )


def model_options(source: ModelSource | None = None) -> ModelOptions:
    """How a model is to be loaded (default: the configured one)."""
    source = source or configured()
    # The key is for the server that was set with it, and for no other.
    is_keyed = source.url == settings.EMBEDDING_URL
    return ModelOptions(
        revision=source.revision,
        device=settings.EMBEDDING_DEVICE,
        dtype=settings.EMBEDDING_DTYPE,
        image_pixels=settings.EMBEDDING_PIXELS,
        batch_tokens=settings.EMBEDDING_BATCH_TOKENS,
        url=source.url,
        api_key=settings.EMBEDDING_API_KEY if is_keyed else "",
    )
