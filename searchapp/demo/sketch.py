"""Free drawing turned into pixels; knows lines, shapes and letters, not the content."""

import io
from collections.abc import Sequence
from typing import Any

import pypdfium2
from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas

from searchapp.demo import company


class Sketch:
    """A page of `width` x `height` points with y running down from the top edge."""

    def __init__(self, width: float, height: float, *, paper: str = company.WHITE) -> None:
        self.width, self.height = width, height
        self._buffer = io.BytesIO()
        self._canvas: Any = Canvas(self._buffer, pagesize=(width, height), invariant=1)
        self.box(0, 0, width, height, fill=paper)

    def box(
        self, x: float, y: float, w: float, h: float, *,
        fill: str | None = None, edge: str | None = None, radius: float = 0, width: float = 1,
    ) -> None:  # fmt: skip
        self._ink(fill, edge, width)
        self._canvas.roundRect(
            x, self.height - y - h, w, h, radius, stroke=int(edge is not None),
            fill=int(fill is not None),
        )  # fmt: skip

    def circle(
        self, x: float, y: float, radius: float, *, fill: str | None = None,
        edge: str | None = None,
        width: float = 1,
    ) -> None:  # fmt: skip
        self._ink(fill, edge, width)
        self._canvas.circle(
            x, self.height - y, radius, stroke=int(edge is not None), fill=int(fill is not None)
        )

    def shape(
        self, points: Sequence[tuple[float, float]], *, fill: str | None = None,
        edge: str | None = None, width: float = 1, closed: bool = True,
    ) -> None:  # fmt: skip
        """A polygon, or an open line of several legs."""
        self._ink(fill, edge, width)
        path = self._canvas.beginPath()
        path.moveTo(points[0][0], self.height - points[0][1])
        for x, y in points[1:]:
            path.lineTo(x, self.height - y)
        if closed:
            path.close()
        self._canvas.drawPath(path, stroke=int(edge is not None), fill=int(fill is not None))

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, edge: str = company.GREY,
        width: float = 1.5, dash: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        self._ink(None, edge, width)
        self._canvas.setDash(*(dash or ()))
        self._canvas.line(x1, self.height - y1, x2, self.height - y2)
        self._canvas.setDash()

    def write(
        self, x: float, y: float, content: str, *, size: float = 12, ink: str = company.NAVY,
        font: str = "Helvetica", side: str = "left", leading: float = 1.35,
    ) -> None:  # fmt: skip
        """Lines of text; (x, y) is the base line of the first, at its left, centre or right."""
        self._canvas.setFillColor(HexColor("#" + ink))
        self._canvas.setFont(font, size)
        draw = {
            "left": self._canvas.drawString,
            "centre": self._canvas.drawCentredString,
            "right": self._canvas.drawRightString,
        }[side]
        for row, value in enumerate(content.split("\n")):
            draw(x, self.height - y - row * size * leading, value)

    def strong(self, x: float, y: float, content: str, **style: Any) -> None:
        self.write(x, y, content, font="Helvetica-Bold", **style)

    def pixels(self, width: int) -> Image.Image:
        """The finished drawing as an RGB image `width` pixels wide; ends the drawing."""
        self._canvas.save()
        document = pypdfium2.PdfDocument(self._buffer.getvalue())
        try:
            bitmap = document[0].render(scale=width / self.width)
            image: Image.Image = bitmap.to_pil().convert("RGB")
        finally:
            document.close()
        return image

    def _ink(self, fill: str | None, edge: str | None, width: float) -> None:
        if fill is not None:
            self._canvas.setFillColor(HexColor("#" + fill))
        if edge is not None:
            self._canvas.setStrokeColor(HexColor("#" + edge))
            self._canvas.setLineWidth(width)
