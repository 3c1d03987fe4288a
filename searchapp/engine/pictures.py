"""Pictures of a query: what is read on them, and their keypoints, made where the model is."""

from collections.abc import Sequence

from embedding_engine import keypoints
from embedding_engine.errors import EngineError
from embedding_engine.keypoints import QueryKeypoints
from embedding_engine.registry import ModelSpec
from embedding_engine.types import ImagePart, Part, TextPart
from searchapp.engine.connection import client, is_inprocess
from searchapp.engine.errors import translated

# Seconds: a person waits. Pictures that are asked with are read one after the other.
_KEYPOINTS_S = 15.0
_READ_S = 30.0


def read_pictures(parts: Sequence[Part], spec: ModelSpec) -> tuple[Part, ...]:
    """The parts of a query with each picture replaced by its text, where the model only reads.

    It is read where the model is, so that web processes hold no OCR; the picture's bytes are not
    sent once more. Raises as `embed_documents`.
    """
    if "image" in spec.lanes:
        return tuple(parts)
    return tuple(
        TextPart(_read_urgently(part.content) if part.text is None else part.text)
        if isinstance(part, ImagePart)
        else part
        for part in parts
    )


def _read_urgently(image: bytes) -> str:
    from embedding_engine import reading  # onnxruntime is heavy

    try:
        if is_inprocess():
            return reading.read(image, urgent=True).text
        return client(_READ_S).read(image).text
    except EngineError as error:
        raise translated(error) from error


def query_keypoints(image: bytes) -> QueryKeypoints:
    """What a picture that is looked for looks like; made where the model is, as it is read there.

    Raises as `embed_documents`.
    """
    try:
        if is_inprocess():
            return keypoints.query_keypoints(image)
        return client(_KEYPOINTS_S).keypoints(image)
    except EngineError as error:
        raise translated(error) from error
