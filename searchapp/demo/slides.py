"""Drawing words for slide decks (python-pptx); knows the colours, not the content."""

import re
from collections.abc import Sequence
from typing import Any

from pptx.chart.data import CategoryChartData, XyChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_LEGEND_POSITION
from pptx.enum.shapes import MSO_CONNECTOR, MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.util import Inches, Pt

from searchapp.demo import company
from searchapp.demo.deck_file import FONT, place

NUMERIC = re.compile(r"[-+]?[\d., %]*")
SHAPES = {
    "box": MSO_SHAPE.RECTANGLE,
    "round": MSO_SHAPE.ROUNDED_RECTANGLE,
    "oval": MSO_SHAPE.OVAL,
    "step": MSO_SHAPE.PENTAGON,
}
CHARTS = {
    "column": XL_CHART_TYPE.COLUMN_CLUSTERED,
    "bar": XL_CHART_TYPE.BAR_CLUSTERED,
    "line": XL_CHART_TYPE.LINE_MARKERS,
    "doughnut": XL_CHART_TYPE.DOUGHNUT,
}


def colour(value: str) -> Any:
    return RGBColor.from_string(value)


def cover(deck: Any, title: str, subtitle: str, notes: str = "") -> Any:
    """The first slide: a navy page with an island horizon."""
    slide = deck.slides.add_slide(deck.slide_layouts[0])
    slide.background.fill.solid()
    slide.background.fill.fore_color.rgb = colour(company.NAVY)
    shape(slide, "oval", 9.0, 0.9, 2.2, 2.2, fill=company.SUN)
    shape(slide, "oval", 6.4, 4.85, 8.4, 6.0, fill=company.TEAL)
    shape(slide, "oval", 9.9, 5.55, 6.0, 5.0, fill="2C94A7")
    for x, top in ((8.6, 3.3), (11.2, 4.0)):
        _turbine(slide, x, top)
    head, sub = slide.shapes.title, slide.placeholders[1]
    place(head, 0.8, 2.2, 6.3, 1.7)
    place(sub, 0.8, 4.0, 5.8, 1.3)
    _write(head.text_frame, title, size=40, bold=True, ink=company.WHITE)
    _write(sub.text_frame, subtitle, size=18, ink="CFE3E8")
    head.text_frame.vertical_anchor = MSO_ANCHOR.BOTTOM
    text(slide, company.NAME, 0.8, 0.6, 5, 0.5, size=18, bold=True, ink=company.SUN)
    _note(slide, notes)
    return slide


def _turbine(slide: Any, x: float, top: float) -> None:
    line(slide, x, top, x, top + 2.0, ink=company.WHITE, width=3)
    for dx, dy in ((0, -0.85), (0.74, 0.42), (-0.74, 0.42)):
        line(slide, x, top, x + dx, top + dy, ink=company.WHITE, width=3)


def page(deck: Any, title: str, *, notes: str = "", hidden: bool = False) -> Any:
    """A titled slide with footer and number; content goes below y = 1.5 inches."""
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    _write(slide.shapes.title.text_frame, title, size=28, bold=True, ink=company.NAVY)
    slide.shapes.title.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE
    shape(slide, "box", 0.7, 1.28, 0.9, 0.06, fill=company.SUN)
    footer = f"{company.NAME}  |  {deck.core_properties.title}"
    text(slide, footer, 0.6, 7.03, 9, 0.3, size=10, ink=company.GREY)
    number = str(len(deck.slides))
    text(slide, number, 11.7, 7.03, 1, 0.3, size=10, ink=company.GREY, align="right")
    _note(slide, notes)
    if hidden:
        slide._element.set("show", "0")
    return slide


def _note(slide: Any, notes: str) -> None:
    if notes:
        slide.notes_slide.notes_text_frame.text = notes


def _write(
    frame: Any, content: str, *, size: float, bold: bool = False, ink: str, align: str = "left"
) -> None:
    frame.word_wrap = True
    for index, value in enumerate(content.split("\n")):
        paragraph = frame.paragraphs[0] if index == 0 else frame.add_paragraph()
        paragraph.alignment = getattr(PP_ALIGN, align.upper())
        run = paragraph.add_run()
        run.text = value
        run.font.size, run.font.bold, run.font.name = Pt(size), bold, FONT
        run.font.color.rgb = colour(ink)


def text(
    slide: Any, content: str, x: float, y: float, w: float, h: float, *,
    size: float = 16, bold: bool = False, ink: str = company.NAVY, align: str = "left",
) -> Any:  # fmt: skip
    box = slide.shapes.add_textbox(Inches(x), Inches(y), Inches(w), Inches(h))
    _write(box.text_frame, content, size=size, bold=bold, ink=ink, align=align)
    return box


def bullets(
    slide: Any, lines: Sequence[str], x: float, y: float, w: float, *, size: float = 18
) -> None:
    """Bulleted lines with real paragraph bullets and hanging indents."""
    box = slide.shapes.add_textbox(Inches(x), Inches(y), Inches(w), Inches(0.6 * len(lines)))
    _write(box.text_frame, "\n".join(lines), size=size, ink=company.NAVY)
    for paragraph in box.text_frame.paragraphs:
        paragraph.space_after = Pt(size * 0.6)
        properties = paragraph._p.get_or_add_pPr()
        properties.set("marL", "285750")
        properties.set("indent", "-285750")
        tint = properties.makeelement(qn("a:buClr"), {})
        tint.append(tint.makeelement(qn("a:srgbClr"), {"val": company.TEAL}))
        properties.append(tint)
        properties.append(properties.makeelement(qn("a:buChar"), {"char": "•"}))


def shape(
    slide: Any, kind: str, x: float, y: float, w: float, h: float, content: str = "", *,
    fill: str = company.MIST, ink: str = company.NAVY, size: float = 14, bold: bool = False,
) -> Any:  # fmt: skip
    """A filled shape of SHAPES with centred text."""
    drawn = slide.shapes.add_shape(SHAPES[kind], *(Inches(v) for v in (x, y, w, h)))
    drawn.fill.solid()
    drawn.fill.fore_color.rgb = colour(fill)
    drawn.line.fill.background()
    drawn.shadow.inherit = False
    if kind == "round":
        drawn.adjustments[0] = 0.08
    if content:
        _write(drawn.text_frame, content, size=size, bold=bold, ink=ink, align="center")
        drawn.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE
    return drawn


def line(
    slide: Any, x1: float, y1: float, x2: float, y2: float, *,
    ink: str = company.GREY, width: float = 1.75, arrow: bool = False,
) -> None:  # fmt: skip
    drawn = slide.shapes.add_connector(
        MSO_CONNECTOR.STRAIGHT, Inches(x1), Inches(y1), Inches(x2), Inches(y2)
    )
    drawn.line.color.rgb = colour(ink)
    drawn.line.width = Pt(width)
    if arrow:
        ln = drawn.line._get_or_add_ln()
        ln.append(ln.makeelement(qn("a:tailEnd"), {"type": "triangle"}))


def card(slide: Any, figure: str, label: str, x: float, y: float, w: float) -> None:
    """A key figure: big number above its meaning."""
    shape(slide, "round", x, y, w, 1.55, fill=company.MIST)
    text(slide, figure, x, y + 0.12, w, 0.8, size=32, bold=True, ink=company.TEAL, align="center")
    text(slide, label, x, y + 0.92, w, 0.5, size=13, ink=company.GREY, align="center")


def table(
    slide: Any, rows: Sequence[Sequence[str]], x: float, y: float, widths: Sequence[float], *,
    size: float = 14, row_height: float = 0.5,
) -> None:  # fmt: skip
    """A table whose first row is the heading; widths in inches."""
    frame = slide.shapes.add_table(
        len(rows), len(widths), Inches(x), Inches(y), Inches(sum(widths)),
        Inches(row_height * len(rows)),
    )  # fmt: skip
    for column, width in zip(frame.table.columns, widths, strict=True):
        column.width = Inches(width)
    for r, row in enumerate(rows):
        frame.table.rows[r].height = Inches(row_height)
        for c, value in enumerate(row):
            numeric = all(NUMERIC.fullmatch(body[c]) for body in rows[1:])
            align = "right" if numeric else "left"
            _cell(frame.table.cell(r, c), value, r, size, align)


def _cell(cell: Any, value: str, row: int, size: float, align: str) -> None:
    ink = company.WHITE if row == 0 else company.NAVY
    _write(cell.text_frame, value, size=size, bold=row == 0, ink=ink, align=align)
    cell.vertical_anchor = MSO_ANCHOR.MIDDLE
    cell.fill.solid()
    stripe = company.MIST if row % 2 == 0 else company.WHITE
    cell.fill.fore_color.rgb = colour(company.NAVY if row == 0 else stripe)


def chart(
    slide: Any, kind: str, title: str, categories: Sequence[str],
    series: dict[str, Sequence[float]], x: float, y: float, w: float, h: float, *,
    number_format: str = "0.0",
) -> None:  # fmt: skip
    """A native chart of CHARTS, with values at the marks."""
    numbers = CategoryChartData(number_format=number_format)
    numbers.categories = categories
    for name, values in series.items():
        numbers.add_series(name, values)
    drawn = slide.shapes.add_chart(
        CHARTS[kind], *(Inches(v) for v in (x, y, w, h)), numbers
    ).chart  # fmt: skip
    _chart_style(drawn, title, legend=len(series) > 1 or kind == "doughnut")
    plot = drawn.plots[0]
    plot.has_data_labels = True
    plot.data_labels.show_value = True
    plot.data_labels.font.size, plot.data_labels.number_format = Pt(12), number_format
    plot.data_labels.number_format_is_linked = False
    if kind in ("column", "bar"):
        plot.gap_width, plot.overlap = 70, -5
    if kind == "line":
        sides = (XL_LABEL_POSITION.ABOVE, XL_LABEL_POSITION.BELOW)
        for drawn_series, side in zip(plot.series, sides, strict=False):
            drawn_series.data_labels.show_value = True
            drawn_series.data_labels.position = side
    if kind == "doughnut":
        plot.data_labels.font.color.rgb = colour(company.WHITE)
        plot.data_labels.font.bold = True
        for index, accent in enumerate(company.SERIES[: len(categories)]):
            fill = plot.series[0].points[index].format.fill
            fill.solid()
            fill.fore_color.rgb = colour(accent)
        return
    _axes_style(drawn)


def curve(
    slide: Any, title: str, points: Sequence[tuple[float, float]], axes: tuple[str, str],
    x: float, y: float, w: float, h: float,
) -> None:  # fmt: skip
    """A native smooth x-y chart with named axes."""
    numbers = XyChartData()
    drawn_series = numbers.add_series(axes[1])
    for px, py in points:
        drawn_series.add_data_point(px, py)
    kind = XL_CHART_TYPE.XY_SCATTER_SMOOTH
    drawn = slide.shapes.add_chart(kind, *(Inches(v) for v in (x, y, w, h)), numbers).chart
    _chart_style(drawn, title, legend=False)
    _axes_style(drawn)
    for axis, name in zip((drawn.category_axis, drawn.value_axis), axes, strict=True):
        axis.has_title = True
        _write(axis.axis_title.text_frame, name, size=12, ink=company.GREY)
    drawn.value_axis.visible = True


def _chart_style(drawn: Any, title: str, *, legend: bool) -> None:
    drawn.font.size, drawn.font.name = Pt(12), FONT
    drawn.has_title = True
    _write(drawn.chart_title.text_frame, title, size=15, bold=True, ink=company.NAVY)
    drawn.has_legend = legend
    if legend:
        drawn.legend.position = XL_LEGEND_POSITION.BOTTOM
        drawn.legend.include_in_layout = False


def _axes_style(drawn: Any) -> None:
    drawn.value_axis.major_gridlines.format.line.color.rgb = colour("D9E1E5")
    drawn.value_axis.format.line.fill.background()
    drawn.category_axis.has_major_gridlines = False
    drawn.category_axis.format.line.color.rgb = colour(company.GREY)
