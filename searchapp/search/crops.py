"""A part of a stored page as a picture to search by, with the words that were read there."""

import io
import math
from collections.abc import Sequence

from PIL import Image

from searchapp import access, engine, storage
from searchapp.access import Actor
from searchapp.errors import InvalidInput, NotFound
from searchapp.models import Page

# Less holds nothing to look for.
_MIN_PIXELS = 8


def page_part(actor: Actor, page_id: int, box: Sequence[float], *, field: str) -> engine.ImagePart:
    """The picture of a page inside `box`: x0, y0, x1, y1 in fractions, origin top left.

    Raises InvalidInput naming the field: unknown_page for one that is not there or not visible, or
    has no picture; invalid_box.
    """
    is_box = len(box) == 4 and all(0 <= edge <= 1 for edge in box)
    if not is_box or box[0] >= box[2] or box[1] >= box[3]:
        raise InvalidInput(
            "invalid_box", "box is [x0, y0, x1, y1] in fractions of the page, 0 to 1.", field=field
        )
    try:
        page = access.visible_page_get(actor, page_id)
    except NotFound as error:
        raise InvalidInput("unknown_page", "There is no such page.", field=field) from error
    if not page.image:
        raise InvalidInput("unknown_page", "This page has no picture.", field=field)
    return engine.ImagePart(_crop(page.image, box), text=_words(page, box))


def _crop(name: str, box: Sequence[float]) -> bytes:
    with Image.open(io.BytesIO(storage.file_read(name))) as image:
        (width, height), (x0, y0, x1, y1) = image.size, box
        left = min(int(x0 * width), width - _MIN_PIXELS)
        top = min(int(y0 * height), height - _MIN_PIXELS)
        right, bottom = math.ceil(x1 * width), math.ceil(y1 * height)
        corners = (max(0, left), max(0, top), max(right, _MIN_PIXELS), max(bottom, _MIN_PIXELS))
        buffer = io.BytesIO()
        image.crop(corners).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _words(page: Page, box: Sequence[float]) -> str:
    """The words whose middle lies in the box."""
    x0, y0, x1, y1 = box
    return " ".join(
        text
        for text, left, top, right, bottom in page.words
        if x0 <= (left + right) / 2 <= x1 and y0 <= (top + bottom) / 2 <= y1
    )
