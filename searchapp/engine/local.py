"""What is made in this process, without a model: cuts of a text, OCR, keypoints of a page."""

from django.conf import settings

from embedding_engine import keypoints
from embedding_engine.errors import EngineError
from embedding_engine.keypoints import Keypoints
from embedding_engine.passages import split_passages
from embedding_engine.registry import ModelSpec
from embedding_engine.tokens import split_windows
from embedding_engine.types import Reading
from searchapp.engine.errors import translated


def windows(text: str, spec: ModelSpec) -> list[str]:
    """A page's text cut into the model's windows; none for a blank text."""
    return split_windows(text, spec=spec)


def passages(text: str, spec: ModelSpec) -> list[str]:
    """A page's text in short pieces that end with a line or sentence; none for a blank text."""
    return split_passages(text, spec=spec)


def read(image: bytes) -> Reading:
    """OCR in this process: text and word boxes of one picture. Raises SearchappError."""
    from embedding_engine import reading

    try:
        return reading.read(image, threads=settings.OCR_THREADS)
    except EngineError as error:
        raise translated(error) from error


def page_keypoints(image: bytes) -> Keypoints:
    """What a page's picture looks like, made in this process. Raises InvalidInput."""
    try:
        return keypoints.page_keypoints(image)
    except EngineError as error:
        raise translated(error) from error
