"""Start-up checks with a hint each; Django runs them before every command."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from embedding_engine.errors import ModelNotFound
from embedding_engine.registry import MODELS, model_spec


@register()
def embedding_model_check(**_: Any) -> list[CheckMessage]:
    """The configured model exists and has the configured dimension."""
    try:
        spec = model_spec(settings.EMBEDDING_MODEL)
    except ModelNotFound as error:
        hint = f"Set EMBEDDING_MODEL to one of {', '.join(sorted(MODELS))}."
        return [Error(str(error), hint=hint, id="searchapp.E001")]
    if settings.EMBEDDING_DIMENSION not in spec.dimensions:
        hint = f"Set EMBEDDING_DIMENSION to one of {spec.dimensions}."
        return [Error("dimension not offered by the model", hint=hint, id="searchapp.E002")]
    return []


@register()
def storage_check(**_: Any) -> list[CheckMessage]:
    """STORAGE=s3 needs a bucket."""
    if settings.ENV["STORAGE"] not in {"local", "s3"}:
        return [Error("unknown STORAGE", hint="Use local or s3.", id="searchapp.E003")]
    if settings.ENV["STORAGE"] == "s3" and not settings.ENV["S3_BUCKET"]:
        return [Error("STORAGE=s3 without a bucket", hint="Set S3_BUCKET.", id="searchapp.E004")]
    return []
