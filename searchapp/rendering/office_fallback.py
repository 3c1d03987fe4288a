"""A pptx drawn without LibreOffice: its own texts, tables and pictures at their places, no more.

Knows nothing of themes, charts' shapes or effects. Every page says that it is a substitute.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageDraw
from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.exc import PythonPptxError
from pptx.opc.constants import CONTENT_TYPE
from pptx.opc.package import PartFactory
from pptx.package import Package
from pptx.parts.presentation import PresentationPart

from searchapp.errors import FileRejected

from .drawn_text import Region, TextPen
from .renditions import failed_page, fitted_size, write_page
from .types import FileType, RenderedPage, RenderTask, SourceFacts

SUBSTITUTED = "substituted_rendering"
_NOTICE = (
    "LibreOffice is not installed: the slides were drawn from their texts, tables and pictures "
    "only. Install it and render again to see them as they are."
)
_DECK_ERRORS = (
    *(PythonPptxError, KeyError, ValueError, AttributeError, TypeError, OSError),
    NotImplementedError,
)
_SHOW_WITH_MACROS = "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_POINT = 12_700  # English Metric Units a point
_TITLE_POINTS, _BODY_POINTS = 36, 18
_TITLES = ("TITLE", "CENTER_TITLE", "VERTICAL_TITLE")


def can_draw(file_type: FileType) -> bool:
    """Whether this module can draw the format: the pptx family."""
    return file_type.extension in (".pptx", ".pptm", ".ppsx", ".ppsm")


def draw_deck(task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    """Facts, then every slide, each with the notice `substituted_rendering`.

    Raises FileRejected corrupt_file.
    """
    presentation = _open(task)
    slides = list(presentation.slides)
    size = (int(presentation.slide_width), int(presentation.slide_height))
    yield SourceFacts(len(slides), notices=(_NOTICE,))
    for number, slide in enumerate(slides, start=1):
        if number not in task.skip:
            yield _draw_slide(slide, size, number, task)


def _open(task: RenderTask) -> Any:
    # python-pptx reads shows with macros like any deck, once told that they are decks.
    PartFactory.part_type_for[CONTENT_TYPE.PML_SLIDESHOW_MAIN] = PresentationPart
    PartFactory.part_type_for[_SHOW_WITH_MACROS] = PresentationPart
    try:
        return Package.open(str(task.source)).main_document_part.presentation
    except _DECK_ERRORS as error:
        raise FileRejected(
            "corrupt_file", "The deck is damaged. Open it in PowerPoint and save it anew."
        ) from error


def _draw_slide(slide: Any, size: tuple[int, int], number: int, task: RenderTask) -> RenderedPage:
    try:
        width, height = fitted_size(*size, task.limits.page_pixels, max_scale=1.0)
        painter = _Painter(width, height, width / size[0], task.limits.max_source_pixels)
        painter.draw(slide.shapes, _Placement(0, 0, 1, 1))
        page = write_page(painter.image, number, task)
    except _DECK_ERRORS:
        return failed_page(number, "page_failed", f"Slide {number} is damaged.")
    return replace(
        page,
        text=painter.pen.text()[: task.limits.max_text_chars],
        words=tuple(painter.pen.words),
        has_text_layer=bool(painter.pen.words),
        notices=(SUBSTITUTED,),
    )


@dataclass(frozen=True, slots=True)
class _Placement:
    """Maps a group's inner units (EMU) to the slide's."""

    x: float
    y: float
    x_scale: float
    y_scale: float

    def inside(self, group: Any) -> "_Placement":
        frame = group._element.grpSpPr.find(
            "{http://schemas.openxmlformats.org/drawingml/2006/main}xfrm"
        )
        if frame is None or frame.chOff is None or not frame.chExt.cx or not frame.chExt.cy:
            return self
        x_scale = self.x_scale * group.width / frame.chExt.cx
        y_scale = self.y_scale * group.height / frame.chExt.cy
        return _Placement(
            self.x + group.left * self.x_scale - frame.chOff.x * x_scale,
            self.y + group.top * self.y_scale - frame.chOff.y * y_scale,
            x_scale,
            y_scale,
        )


class _Painter:
    """One slide's white sheet; positions come in EMU and leave in pixels."""

    def __init__(self, width: int, height: int, scale: float, max_picture_pixels: int) -> None:
        self.image = Image.new("RGB", (width, height), "white")
        self._ink = ImageDraw.Draw(self.image)
        self.pen = TextPen(self.image, self._ink)
        self._scale = scale
        self._max_picture_pixels = max_picture_pixels

    def draw(self, shapes: Any, placement: _Placement) -> None:
        for shape in shapes:
            if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
                self.draw(shape.shapes, placement.inside(shape))
            elif shape.left is not None and shape.width is not None:
                self._draw_shape(shape, self._region(shape, placement))

    def _region(self, shape: Any, placement: _Placement) -> Region:
        x = (placement.x + shape.left * placement.x_scale) * self._scale
        y = (placement.y + shape.top * placement.y_scale) * self._scale
        width = shape.width * placement.x_scale * self._scale
        height = shape.height * placement.y_scale * self._scale
        return Region(round(x), round(y), max(1, round(width)), max(1, round(height)))

    def _draw_shape(self, shape: Any, region: Region) -> None:
        if hasattr(shape, "image"):
            self._draw_picture(shape, region)
        elif getattr(shape, "has_table", False):
            self._draw_table(shape.table, region)
        elif getattr(shape, "has_chart", False):
            self._ink.rectangle(region.corners(), outline="grey")
            self.pen.write(_chart_words(shape.chart), region, self._pixels(_BODY_POINTS))
        elif shape.has_text_frame:
            self._draw_text(shape.text_frame, region, _default_points(shape))

    def _pixels(self, points: float) -> int:
        return max(6, round(points * _POINT * self._scale))

    def _draw_text(self, frame: Any, region: Region, points: float) -> None:
        for paragraph in frame.paragraphs:
            sizes = [run.font.size.pt for run in paragraph.runs if run.font.size]
            size = self._pixels(max(sizes, default=points))
            region = self.pen.write(paragraph.text.replace("\v", "\n"), region, size)

    def _draw_table(self, table: Any, region: Region) -> None:
        top = region.y
        for row in table.rows:
            left, height = region.x, round(row.height * self._scale)
            for column, cell in zip(table.columns, row.cells, strict=False):
                width = round(column.width * self._scale)
                box = Region(left, top, max(1, width), max(1, height))
                self._ink.rectangle(box.corners(), outline="grey")
                self._draw_text(cell.text_frame, box, _BODY_POINTS)
                left += width
            top += height

    def _draw_picture(self, shape: Any, region: Region) -> None:
        try:
            stored = Image.open(io.BytesIO(shape.image.blob))
            if stored.width * stored.height > self._max_picture_pixels:
                raise ValueError("picture over the pixel limit")
            stored.draft("RGB", (region.width, region.height))
            picture = stored.convert("RGBA").resize(self._visible_size(region))
        except (*_DECK_ERRORS, SyntaxError, Image.DecompressionBombError):
            self._ink.rectangle(region.corners(), outline="grey", fill="lightgrey")
            return
        self.image.paste(picture, (region.x, region.y), picture)

    def _visible_size(self, region: Region) -> tuple[int, int]:
        """A hostile deck may state a picture thousands of slides wide."""
        return min(region.width, 4 * self.image.width), min(region.height, 4 * self.image.height)


def _default_points(shape: Any) -> float:
    if shape.is_placeholder and shape.placeholder_format.type.name in _TITLES:
        return _TITLE_POINTS
    return _BODY_POINTS


def _chart_words(chart: Any) -> str:
    """Titles, series and categories, from the XML: python-pptx knows not every kind of chart."""
    space = chart._chartSpace
    lines = ["".join(part.itertext()) for part in space.iter(f"{_C}title")]
    for kind in ("tx", "cat"):
        values = [v.text or "" for s in space.iter(f"{_C}ser") for v in _values(s, kind)]
        lines.append(", ".join(dict.fromkeys(values)))
    return "\n".join(filter(str.strip, lines))


def _values(series: Any, kind: str) -> list[Any]:
    return [value for part in series.findall(f"{_C}{kind}") for value in part.iter(f"{_C}v")]
