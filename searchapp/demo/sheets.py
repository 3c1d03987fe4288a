"""Drawing words for paper pages (reportlab); knows the colours, not the content."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.piecharts import Pie
from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    ListFlowable,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from searchapp.demo import company

WIDTH, HEIGHT = A4
MARGIN = 22 * mm
BODY_WIDTH = WIDTH - 2 * MARGIN


def ink(value: str) -> Any:
    return HexColor("#" + value)


TEXT = ParagraphStyle(
    "text", fontName="Helvetica", fontSize=11.5, leading=17.5, spaceAfter=8, textColor=ink("22303A")
)
HEAD = ParagraphStyle(
    "head", parent=TEXT, fontName="Helvetica-Bold", fontSize=20, leading=25, spaceAfter=10,
    textColor=ink(company.NAVY),
)  # fmt: skip
SUBHEAD = ParagraphStyle(
    "subhead", parent=HEAD, fontSize=12.5, leading=16, spaceBefore=8, spaceAfter=4,
    textColor=ink(company.TEAL),
)  # fmt: skip
CELL = ParagraphStyle("cell", parent=TEXT, fontSize=10.5, leading=14, spaceAfter=0)
CAPTION = ParagraphStyle(
    "caption", parent=TEXT, fontName="Helvetica-Oblique", fontSize=9, textColor=ink(company.GREY)
)
WARNING = ParagraphStyle(
    "warning", parent=TEXT, backColor=ink("FBE9E5"), borderColor=ink(company.CORAL), borderWidth=1,
    borderPadding=8, spaceBefore=12, spaceAfter=14,
)  # fmt: skip


def head(content: str) -> Any:
    return Paragraph(content, HEAD)


def subhead(content: str) -> Any:
    return Paragraph(content, SUBHEAD)


def text(content: str) -> Any:
    return Paragraph(content, TEXT)


def caption(content: str) -> Any:
    return Paragraph(content, CAPTION)


def warning(content: str) -> Any:
    return Paragraph(f"<b>Warning.</b> {content}", WARNING)


def gap(millimetres: float) -> Any:
    return Spacer(1, millimetres * mm)


def items(lines: Sequence[str], *, numbered: bool = False) -> Any:
    return ListFlowable(
        [Paragraph(line, TEXT) for line in lines],
        bulletType="1" if numbered else "bullet", start=None if numbered else "•",
        leftIndent=16, bulletColor=ink(company.TEAL), bulletFontName="Helvetica-Bold",
    )  # fmt: skip


def grid(rows: Sequence[Sequence[str]], widths: Sequence[float], *, numbers: bool = False) -> Any:
    """A table whose first row is the heading; widths as shares of the text width."""
    total = sum(widths)
    cells = [[Paragraph(value, CELL) if not numbers else value for value in row] for row in rows]
    side = TA_RIGHT if numbers else TA_LEFT
    cells[0] = [_heading(v, side if c else TA_LEFT) for c, v in enumerate(rows[0])]
    style: list[tuple[Any, ...]] = [
        ("BACKGROUND", (0, 0), (-1, 0), ink(company.NAVY)),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [ink(company.WHITE), ink(company.MIST)]),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
        ("LINEBELOW", (0, -1), (-1, -1), 0.8, ink(company.NAVY)),
        ("FONTSIZE", (0, 1), (-1, -1), 10.5),
    ]
    if numbers:
        style.append(("ALIGN", (1, 1), (-1, -1), "RIGHT"))
    return Table(cells, [w / total * BODY_WIDTH for w in widths], style=style, spaceAfter=8)


def _heading(content: str, side: int) -> Any:
    style = ParagraphStyle("heading", parent=CELL, alignment=side, textColor=ink(company.WHITE))
    return Paragraph(f"<b>{content}</b>", style)


def totals(table: Any, rows: Sequence[int]) -> Any:
    """Set the given rows of a grid, counted from the heading as 0, in bold."""
    for row in rows:
        table.setStyle([("FONTNAME", (0, row), (-1, row), "Helvetica-Bold")])
    return table


def bars(
    categories: Sequence[str], series: dict[str, Sequence[float]], *, height: float = 190,
    number_format: str = "%.1f",
) -> Any:  # fmt: skip
    """A column chart over the text width with values above the columns; height in points."""
    drawing = Drawing(BODY_WIDTH, height + 26)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 30, 24, BODY_WIDTH - 40, height - 30
    chart.data, chart.categoryAxis.categoryNames = list(series.values()), list(categories)
    chart.valueAxis.valueMin, chart.valueAxis.strokeColor = 0, None
    chart.valueAxis.visibleGrid, chart.valueAxis.gridStrokeColor = True, ink("D9E1E5")
    chart.categoryAxis.strokeColor = ink(company.GREY)
    for label in (chart.categoryAxis.labels, chart.valueAxis.labels, chart.barLabels):
        label.fontName, label.fontSize, label.fillColor = "Helvetica", 9, ink("22303A")
    chart.barLabelFormat, chart.barLabels.nudge = number_format, 8
    chart.groupSpacing, chart.barSpacing = 12, 1
    for index, fill in enumerate(company.SERIES[: len(series)]):
        chart.bars[index].fillColor, chart.bars[index].strokeColor = ink(fill), None
    drawing.add(chart)
    _legend(drawing, list(series), height + 12)
    return drawing


def _legend(drawing: Any, names: Sequence[str], y: float) -> None:
    x = 30.0
    for name, fill in zip(names, company.SERIES, strict=False):
        drawing.add(Rect(x, y, 9, 9, fillColor=ink(fill), strokeColor=None))
        drawing.add(String(x + 14, y + 1, name, fontName="Helvetica", fontSize=9))
        x += 30 + len(name) * 5.2


def pie(names: Sequence[str], values: Sequence[float], *, height: float = 190) -> Any:
    """A pie with name and value beside each slice; height in points."""
    drawing = Drawing(BODY_WIDTH, height)
    chart = Pie()
    chart.x, chart.y, chart.width, chart.height = 30, 15, height - 30, height - 30
    chart.data, chart.startAngle = list(values), 90
    chart.slices.strokeColor, chart.slices.strokeWidth = ink(company.WHITE), 1.5
    share = sum(values)
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        chart.slices[index].fillColor = ink(company.SERIES[index])
        y, x = height - 45 - index * 28, height + 40
        drawing.add(Rect(x, y, 12, 12, fillColor=ink(company.SERIES[index]), strokeColor=None))
        label = f"{name}: {value:.1f} ({value / share:.0%})"
        drawing.add(String(x + 20, y + 2, label, fontName="Helvetica", fontSize=11))
    drawing.add(chart)
    return drawing


def paper_save(path: Path, title: str, subtitle: str, chapters: Sequence[Sequence[Any]]) -> None:
    """Write a PDF with a cover and one or more pages per chapter; equal calls, equal bytes."""

    def cover_draw(canvas: Any, _document: Any) -> None:
        _cover(canvas, title, subtitle)

    def page_draw(canvas: Any, _document: Any) -> None:
        _running(canvas, title)

    frame = Frame(MARGIN, 24 * mm, BODY_WIDTH, HEIGHT - 50 * mm, 0, 0, 0, 0)
    document = BaseDocTemplate(
        str(path),
        pagesize=A4,
        title=title,
        author=company.LEGAL_NAME,
        subject=subtitle,
        invariant=1,
    )
    document.addPageTemplates(
        [PageTemplate("cover", [frame], onPage=cover_draw),
         PageTemplate("page", [frame], onPage=page_draw)]
    )  # fmt: skip
    story: list[Any] = [NextPageTemplate("page"), Spacer(1, 1)]
    for chapter in chapters:
        story += [PageBreak(), *chapter]
    document.build(story)


def _cover(canvas: Any, title: str, subtitle: str) -> None:
    canvas.setFillColor(ink(company.NAVY))
    canvas.rect(0, 0, WIDTH, HEIGHT, stroke=0, fill=1)
    canvas.setFillColor(ink(company.SUN))
    canvas.circle(WIDTH - 52 * mm, 150 * mm, 24 * mm, stroke=0, fill=1)
    canvas.setFillColor(ink(company.TEAL))
    canvas.ellipse(-60 * mm, -90 * mm, 190 * mm, 90 * mm, stroke=0, fill=1)
    canvas.setFillColor(ink("2C94A7"))
    canvas.ellipse(90 * mm, -80 * mm, 280 * mm, 60 * mm, stroke=0, fill=1)
    canvas.setFillColor(ink(company.SUN))
    canvas.setFont("Helvetica-Bold", 15)
    canvas.drawString(MARGIN, HEIGHT - 32 * mm, company.NAME)
    for index, line in enumerate(title.split("\n")):
        canvas.setFillColor(ink(company.WHITE))
        canvas.setFont("Helvetica-Bold", 34)
        canvas.drawString(MARGIN, HEIGHT - (70 + index * 15) * mm, line)
    canvas.setFont("Helvetica", 14)
    canvas.drawString(MARGIN, HEIGHT - 102 * mm, subtitle)


def _running(canvas: Any, title: str) -> None:
    canvas.setStrokeColor(ink(company.SUN))
    canvas.setLineWidth(2)
    canvas.line(MARGIN, HEIGHT - 18 * mm, MARGIN + 20 * mm, HEIGHT - 18 * mm)
    canvas.setFillColor(ink(company.GREY))
    canvas.setFont("Helvetica", 8.5)
    canvas.drawString(MARGIN, 13 * mm, f"{company.NAME}  |  {' '.join(title.split())}")
    canvas.drawRightString(WIDTH - MARGIN, 13 * mm, str(canvas.getPageNumber()))
