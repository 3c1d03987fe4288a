"""The text layer of a PDF page: its text, word boxes in fractions, and whether it can be used.

Knows nothing of pictures on disk or of OCR. Text keeps the order PDFium gives it (vertical and
right-to-left text included); only presentation forms such as ligatures are spelled out.
"""

import ctypes
import re
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from .types import Word

# A page under pictures to this share with fewer readable characters is a scan with a stamp.
PICTURE_SHARE = 0.8
STRAY_CHARS = 60
MAX_BAD_SHARE = 0.3
# PDFium marks a hyphen at a line's end, where the word goes on in the next line, with U+0002.
_WORD = re.compile(r"[^\s\x02]+(?:\x02(?:\r?\n)?[^\s\x02]+)*")
_FRAGMENT = re.compile(r"[^\s\x02]+")
_LINE_HYPHEN = re.compile(r"\x02(?:\r?\n)?")
_COMPOUND_HYPHEN = re.compile(r"\x02(?:\r?\n)?(?=[A-Z0-9])")
_UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\ud800-\udfff\ufffe\uffff]")
_PRESENTATION_FORM = re.compile("[\ufb00-\ufb06\ufb1d-\ufdfb\ufe70-\ufefc]")
_BAD = re.compile("[\x00-\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff\U000f0000-\U0010fffd]")
_MAP_ERROR_SAMPLES = 200
_DEVICE = 1_000_000

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TextLayer:
    """`is_usable` is False when reading the picture would serve better than this text."""

    text: str
    words: tuple[Word, ...]
    is_usable: bool


def read_text_layer(page: pdfium.PdfPage, max_chars: int) -> TextLayer:
    """Text (at most `max_chars`) and words of a page, boxes as seen after its rotation and crop.

    Not usable: no readable character; over MAX_BAD_SHARE of the characters unmapped, private use,
    control or replacement characters; or fewer than STRAY_CHARS readable characters on a page that
    pictures cover to PICTURE_SHARE. A word broken over two lines has a box for each part, both with
    the whole word as text.
    """
    text_page = page.get_textpage()
    try:
        raw = _raw_text(text_page, max_chars)
        words = tuple(_words(raw, text_page, _PageFractions(page)))
        has_readable_layer = _is_readable(raw, text_page)
    finally:
        text_page.close()
    is_usable = has_readable_layer and not _is_stamped_scan(raw, page)
    return TextLayer(_clean(_joined(raw)), words, is_usable)


def _raw_text(text_page: pdfium.PdfTextPage, max_chars: int) -> str:
    """One character for each of PDFium's, so that an index into it is an index into the page."""
    count = min(text_page.count_chars(), max_chars)
    code_at, handle = pdfium_c.FPDFText_GetUnicode, text_page.raw
    codes = [code_at(handle, index) for index in range(count)]
    return "".join(chr(code) if code <= 0x10FFFF else "\ufffd" for code in codes)


def _joined(raw: str) -> str:
    """Words broken at a line's end in one piece; "Session-Management" keeps its hyphen."""
    return _LINE_HYPHEN.sub("", _COMPOUND_HYPHEN.sub("-", raw))


def _clean(text: str) -> str:
    """Without what a database cannot hold; ligatures and other presentation forms spelled out."""
    plain = _UNSTORABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _PRESENTATION_FORM.sub(lambda m: unicodedata.normalize("NFKC", m[0]), plain).strip()


def _words(raw: str, text_page: pdfium.PdfTextPage, fractions: "_PageFractions") -> Iterator[Word]:
    boxes = _char_boxes(text_page, len(raw))
    for word in _WORD.finditer(raw):
        text = _clean(_joined(word[0]))
        for fragment in _FRAGMENT.finditer(raw, *word.span()) if text else ():
            seen = fractions.visible(_union(boxes[fragment.start() : fragment.end()]))
            if seen:
                yield Word(text, *seen)


def _char_boxes(text_page: pdfium.PdfTextPage, count: int) -> list[Box]:
    """Left, top, right, bottom of every character in page units, as high as its font."""
    rects = (pdfium_c.FS_RECTF * count)()
    handle, box_of, pointer_to = text_page.raw, pdfium_c.FPDFText_GetLooseCharBox, ctypes.byref
    for index, rect in enumerate(rects):
        box_of(handle, index, pointer_to(rect))
    return list(struct.iter_unpack("=4f", rects))


def _union(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), max(tops), max(rights), min(bottoms)


class _PageFractions:
    """Maps page units (origin anywhere, y up, unrotated) to fractions of the picture, y down."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self._page = page
        self._x0, self._y0 = self._device(0.0, 0.0)
        unit_x, unit_y = self._device(1000.0, 0.0), self._device(0.0, 1000.0)
        self._xx, self._xy = (unit_x[0] - self._x0) / 1000, (unit_x[1] - self._y0) / 1000
        self._yx, self._yy = (unit_y[0] - self._x0) / 1000, (unit_y[1] - self._y0) / 1000

    def _device(self, x: float, y: float) -> tuple[float, float]:
        left, top = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(self._page, 0, 0, _DEVICE, _DEVICE, 0, x, y, left, top)
        return left.value / _DEVICE, top.value / _DEVICE

    def visible(self, box: Box) -> Box | None:
        """The part of a box inside the page as x0, y0, x1, y1; None when nothing of it is."""
        # Pages turn by quarters only, so two opposite corners make the box.
        one, other = self._point(box[0], box[1]), self._point(box[2], box[3])
        x0, x1 = _clipped_range(one[0], other[0])
        y0, y1 = _clipped_range(one[1], other[1])
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return (
            self._x0 + x * self._xx + y * self._yx,
            self._y0 + x * self._xy + y * self._yy,
        )


def _clipped_range(one: float, other: float) -> tuple[float, float]:
    return round(max(0.0, min(one, other)), 5), round(min(1.0, max(one, other)), 5)


def _is_readable(raw: str, text_page: pdfium.PdfTextPage) -> bool:
    visible = [index for index, char in enumerate(raw) if not char.isspace() and char != "\x02"]
    bad = len(_BAD.findall(raw))
    if not visible or bad > MAX_BAD_SHARE * len(visible):
        return False
    sample = visible[:: max(1, len(visible) // _MAP_ERROR_SAMPLES)]
    unmapped = sum(pdfium_c.FPDFText_HasUnicodeMapError(text_page.raw, i) == 1 for i in sample)
    return bool(unmapped <= MAX_BAD_SHARE * len(sample))


def _is_stamped_scan(raw: str, page: pdfium.PdfPage) -> bool:
    readable = sum(not char.isspace() for char in raw)
    return readable < STRAY_CHARS and _picture_share(page) >= PICTURE_SHARE


def _picture_share(page: pdfium.PdfPage) -> float:
    """Share of the page under pictures, 0..1; scans cut into strips count together."""
    page_box = page.get_bbox()
    pictures = page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=1)
    covered = sum(_overlap(picture.get_bounds(), page_box) for picture in pictures)
    return min(1.0, covered / max(_overlap(page_box, page_box), 1e-6))


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
