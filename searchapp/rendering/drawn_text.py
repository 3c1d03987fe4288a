"""Writes wrapped text onto a picture and remembers where each word went.

Knows nothing of decks. Fonts are whatever this machine has, down to the one inside Pillow.
"""

import re
from dataclasses import dataclass, replace
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from .types import Word

_LATIN = ("NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf")
_EAST_ASIAN = ("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-zenhei.ttc")
_EAST_ASIAN_CHAR = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
# East Asian text may break after any character; everything else after a space.
_PIECES = re.compile(rf"{_EAST_ASIAN_CHAR.pattern}|\S+?(?={_EAST_ASIAN_CHAR.pattern})|\S+")
_LINE_HEIGHT = 1.25

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in pixels; may lie partly or wholly outside the picture."""

    x: int
    y: int
    width: int
    height: int

    def corners(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.x + self.width, self.y + self.height


class TextPen:
    """Writes on one picture; `words` holds every word with its box in fractions."""

    def __init__(self, image: Image.Image, ink: ImageDraw.ImageDraw) -> None:
        self._size = image.size
        self._ink = ink
        self.words: list[Word] = []
        self._lines: list[str] = []

    def text(self) -> str:
        """Everything written, one paragraph a line."""
        return "\n".join(self._lines)

    def write(self, text: str, region: Region, size: int) -> Region:
        """Write wrapped lines from the region's top; returns what is left of it below."""
        y = region.y
        for line in filter(str.strip, text.splitlines()):
            self._lines.append(line.strip())
            y = self._write_line(line, replace(region, y=y), size)
        return replace(region, y=y, height=max(1, region.height - (y - region.y)))

    def _write_line(self, line: str, region: Region, size: int) -> int:
        font = _font(size, bool(_EAST_ASIAN_CHAR.search(line)))
        step, space = round(size * _LINE_HEIGHT), self._ink.textlength(" ", font)
        x, y, end = float(region.x), region.y, 0
        for piece in _PIECES.finditer(line):
            width = self._ink.textlength(piece[0], font)
            x += space if piece.start() > end else 0
            if x > region.x and x + width > region.x + region.width:
                x, y = float(region.x), y + step
            self._put(piece[0], x, y, (width, step), font)
            x, end = x + width, piece.end()
        return y + step

    def _put(self, word: str, x: float, y: float, size: tuple[float, float], font: Font) -> None:
        width, height = self._size
        if y >= height or x >= width:
            return
        self._ink.text((x, y), word, fill="black", font=font)
        box = (x / width, y / height, (x + size[0]) / width, (y + size[1]) / height)
        x0, y0, x1, y1 = (round(min(1.0, max(0.0, value)), 5) for value in box)
        if x0 < x1 and y0 < y1:
            self.words.append(Word(word, x0, y0, x1, y1))


@cache
def _font(size: int, is_east_asian: bool) -> Font:
    for name in (*(_EAST_ASIAN if is_east_asian else ()), *_LATIN):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
