"""Writes the two pictures of a page: the page image (JPEG) and its thumbnail (WebP).

Knows nothing of where the pixels came from.
"""

import math
from pathlib import Path

from PIL import Image

from .types import RenderedPage, RenderTask

JPEG_QUALITY = 85
THUMBNAIL_QUALITY = 70
# Browsers and WebP (16383) stop somewhere; a page a hundred times as long as wide is no picture.
MAX_SIDE = 8_000
THUMBNAIL_MAX_ASPECT = 4


def scale_to_pixels(width: float, height: float, pixels: int, max_scale: float) -> float:
    """Factor that brings width x height to about `pixels`, no side over MAX_SIDE."""
    by_area = math.sqrt(pixels / (width * height))
    return min(by_area, MAX_SIDE / max(width, height), max_scale)


def fitted_size(width: float, height: float, pixels: int, max_scale: float) -> tuple[int, int]:
    """Whole width and height (at least 1 x 1) whose product does not exceed `pixels`."""
    scale = scale_to_pixels(width, height, pixels, max_scale)
    return max(1, int(width * scale)), max(1, int(height * scale))


def write_page(image: Image.Image, number: int, task: RenderTask) -> RenderedPage:
    """Write both pictures of an RGB or RGBX image into the task's folder; a page without text."""
    page_file = task.workdir / f"{number:05d}.jpg"
    thumbnail_file = task.workdir / f"{number:05d}.thumb.webp"
    # 4:4:4, because coloured text on a coloured ground blurs under chroma subsampling.
    image.save(page_file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    _write_thumbnail(image, thumbnail_file, task.limits.thumbnail_width)
    return RenderedPage(number, page_file, thumbnail_file, image.width, image.height)


def failed_page(number: int, code: str, message: str) -> RenderedPage:
    """The page that stands for one that could not be rendered."""
    return RenderedPage(number, None, None, 0, 0, error_code=code, error_message=message)


def _write_thumbnail(image: Image.Image, target: Path, width: int) -> None:
    scale = min(1.0, width / image.width, width * THUMBNAIL_MAX_ASPECT / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    small.convert("RGB").save(target, "WEBP", quality=THUMBNAIL_QUALITY, method=0)
