"""What crosses the engine's border: frozen dataclasses and numpy arrays, never tensors."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

InputType = Literal["search_document", "search_query", "classification", "clustering", "image"]
EmbeddingType = Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]
Truncate = Literal["NONE", "START", "END"]
Lane = Literal["image", "text"]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An encoded image (PNG, JPEG, WebP, GIF). `text`: what the caller has read on it already."""

    content: bytes
    text: str | None = None


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class EmbedInput:
    """One thing to embed: its parts in order. One vector comes out."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is loaded. Empty strings and 0 mean the model's own default.

    `revision`: commit or tag of a hub repository; `device`: auto, cpu, cuda, cuda:N; `dtype`: auto,
    float32, bfloat16; `image_pixels`: pictures with more are scaled down for the model;
    `batch_tokens`: most tokens of one batch, padding included; `url`: an Embed v2 server that holds
    the model instead of us, `api_key` its bearer key.
    """

    revision: str = ""
    device: str = "auto"
    dtype: str = "auto"
    image_pixels: int = 0
    batch_tokens: int = 0
    url: str = ""
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What a model is loaded by.

    `model`: a registered name, a folder, or owner/name on the hub; `revision`: commit or tag there;
    `url`: the Embed v2 server that holds it instead of us.
    """

    model: str
    revision: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """One call. `max_tokens` counts per input; None means the model's context."""

    inputs: tuple[EmbedInput, ...]
    input_type: InputType
    output_dimension: int | None = None
    max_tokens: int | None = None
    truncate: Truncate = "END"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as it was sent: original size, lower-case format, bits per pixel."""

    width: int
    height: int
    format: str
    bit_depth: int


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """vectors: (n, D) float32 of unit length, in input order; tokens: those that were embedded."""

    vectors: FloatArray
    text_tokens: int
    image_tokens: int
    images: tuple[ImageFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """One word or line read on a picture; box in fractions (0..1), origin top left, y downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What OCR read on one picture, in reading order."""

    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An HTTP response of the Embed API, whoever sends it: status, body, headers in lower case."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
