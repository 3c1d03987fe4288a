"""Image files into pages with Pillow: upright, in sRGB, on white; each TIFF frame is a page.

Knows nothing of other formats. Sizes are checked from the header, before any pixel is decoded.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageCms, UnidentifiedImageError

from searchapp.errors import FileRejected

from .formats import format_for
from .renditions import failed_page, fitted_size, write_page
from .types import RenderedPage, RenderTask, SourceFacts

# What Pillow's decoders raise on damaged files.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError)
_BITS_PER_SAMPLE = 258
# Scientific cameras fill 4 of 16 bits: below this share of the range a picture is stretched.
_DARKEST_SHARE = 16
_RESIZABLE = frozenset({"L", "RGB", "RGBA", "CMYK", "LA", "La", "RGBa", "YCbCr"})


def render_image(task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    """Facts, then one page a frame (TIFF) or the first frame alone.

    Raises FileRejected: corrupt_file, image_too_large, too_many_pages.
    """
    with _opened(task) as image:
        count = _page_count(image, task)
        first = _frame_page(image, 1, task)
        if first.error_code and count == 1:
            raise _corrupt(task)
        yield SourceFacts(count)
        for number in range(1, count + 1):
            if number not in task.skip:
                yield first if number == 1 else _frame_page(image, number, task)


@contextmanager
def _opened(task: RenderTask) -> Iterator[Image.Image]:
    spec = format_for(task.file_type)
    if spec.pillow == "HEIF":
        _register_heif()
    # Our own limit, with our own message, is checked below on every frame.
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(task.source, formats=[spec.pillow])
    except (*DECODE_ERRORS, UnidentifiedImageError) as error:
        raise _corrupt(task) from error
    with image:
        _check_size(image, task)
        yield image


def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _corrupt(task: RenderTask) -> FileRejected:
    label = task.file_type.label
    return FileRejected(
        "corrupt_file", f"The {label} is damaged or cut off. Export or download it again."
    )


def _check_size(image: Image.Image, task: RenderTask) -> None:
    pixels, limit = image.width * image.height, task.limits.max_source_pixels
    if pixels > limit:
        raise FileRejected(
            "image_too_large",
            f"The image has {image.width} x {image.height} pixels, more than the limit of "
            f"{limit} pixels. Scale it down.",
        )


def _page_count(image: Image.Image, task: RenderTask) -> int:
    if image.format != "TIFF":
        return 1
    try:
        count = int(getattr(image, "n_frames", 1))
    except DECODE_ERRORS as error:
        raise _corrupt(task) from error
    if count > task.limits.max_pages:
        raise FileRejected(
            "too_many_pages",
            f"The image has {count} frames, more than the limit of {task.limits.max_pages}.",
        )
    return count


def _frame_page(image: Image.Image, number: int, task: RenderTask) -> RenderedPage:
    try:
        if number > 1:
            image.seek(number - 1)
            _check_size(image, task)
        return write_page(_page_picture(image, task.limits.page_pixels), number, task)
    except FileRejected as error:
        return failed_page(number, error.code, error.message)
    except DECODE_ERRORS:
        return failed_page(number, "page_unreadable", f"Frame {number} is damaged.")


def _page_picture(image: Image.Image, pixels: int) -> Image.Image:
    """An upright RGB picture of at most `pixels`; small images keep their size."""
    size = fitted_size(image.width, image.height, pixels, max_scale=1.0)
    image.draft(None, size)
    image.load()
    small = _shrunk(_plain_depth(image), size)
    return _upright(image, _on_white(_to_srgb(small, image.info.get("icc_profile"))))


def _plain_depth(image: Image.Image) -> Image.Image:
    """8 bits a channel, no palette: a mode that can be resized."""
    if image.mode in _RESIZABLE:
        return image
    if image.mode.startswith(("I", "F")):
        return _to_8_bits(image)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    has_alpha = image.mode.endswith(("A", "a")) or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "L" if image.mode == "1" else "RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scaled by the declared depth; by what occurs where that would be all but black."""
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
        brightest = float((1 << min(max(bits, 8), 16)) - 1)
        if high * _DARKEST_SHARE >= brightest:
            low, high = 0.0, brightest
        image = image.convert("I")
    scale = 255 / (high - low or 1.0)
    return image.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def _shrunk(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.width <= size[0] and image.height <= size[1]:
        return image
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Through the embedded colour profile where it fits the mode; else as it is."""
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return image
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError):
        return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "La", "RGBa"):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image)
        image = ground
    return image.convert("RGB")


def _upright(source: Image.Image, picture: Image.Image) -> Image.Image:
    """Turned as the source's EXIF orientation says; damaged EXIF says nothing."""
    try:
        orientation = source.getexif().get(_ORIENTATION, 1)
    except DECODE_ERRORS:
        return picture
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
