"""Image bytes: what they are, and their pixels, without trusting label or size. Knows no model."""

import base64
import binascii
import re
import warnings
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from embedding_engine.errors import InvalidImage
from embedding_engine.types import ImageFacts

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_IMAGE_PIXELS = 100_000_000
"""More is refused before a pixel is decoded (300 MB as RGB)."""

_BITS = {"1": 1, "L": 8, "P": 8, "LA": 16, "PA": 16, "I;16": 16, "RGB": 24, "YCbCr": 24, "LAB": 24}
_DATA_URI = re.compile(r"data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    Image.DecompressionBombError,
    MemoryError,
)


def image_facts(content: bytes) -> ImageFacts:
    """Size, format and depth from the header. InvalidImage for what is none of FORMATS."""
    with _opened(content) as image:
        name = "jpeg" if image.format == "MPO" else (image.format or "").lower()
        return ImageFacts(image.width, image.height, name, _BITS.get(image.mode, 32))


def decoded_image(content: bytes) -> Image.Image:
    """The first frame as upright RGB, transparent parts on white. InvalidImage if it is damaged."""
    with _opened(content) as image:
        try:
            image.load()
            return _flattened(ImageOps.exif_transpose(image))
        except _DECODE_ERRORS as error:
            raise InvalidImage(f"the image is damaged: {error}") from error


def image_from_data_uri(uri: str) -> bytes:
    """The bytes of a `data:image/...;base64,` URI. InvalidImage for URLs and bare base64."""
    found = _DATA_URI.match(uri)
    if found is None:
        raise InvalidImage("an image must be a data URI: data:image/png;base64,...")
    try:
        return base64.b64decode(uri[found.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage("the image's base64 is broken") from error


def data_uri(content: bytes) -> str:
    """The data URI of encoded image bytes, labelled with their real format."""
    encoded = base64.b64encode(content).decode("ascii")
    return f"data:image/{image_facts(content).format};base64,{encoded}"


def _opened(content: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns at its own, lower limit; ours is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidImage("not a PNG, JPEG, WebP or GIF image") from error
    except _DECODE_ERRORS as error:
        raise InvalidImage(f"the image is damaged: {error}") from error
    if image.width * image.height > MAX_IMAGE_PIXELS:
        raise InvalidImage(
            f"the image has {image.width} x {image.height} pixels; at most "
            f"{MAX_IMAGE_PIXELS:,} pixels are accepted"
        )
    return image


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit grey when converting; keep the high byte instead.
        image = image.point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
