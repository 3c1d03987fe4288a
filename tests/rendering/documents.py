"""Builds the small files the rendering tests use, and renders them."""

import io
import random
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image
from pptx import Presentation
from pptx.util import Inches, Pt
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen import canvas

from searchapp.rendering.formats import renderer_for
from searchapp.rendering.sniffing import sniff
from searchapp.rendering.types import RenderedPage, RenderLimits, RenderTask, SourceFacts

Rendered = tuple[SourceFacts, list[RenderedPage]]


def task_for(path: Path, limits: RenderLimits | None = None, *, soffice: str = "") -> RenderTask:
    """A task in a new folder beside the file."""
    workdir = path.parent / f"pages-{path.name}"
    workdir.mkdir()
    task = RenderTask(path, sniff(path), workdir, soffice=soffice or "soffice")
    return replace(task, limits=limits) if limits else task


def render_here(path: Path, limits: RenderLimits | None = None) -> Rendered:
    """Render in this process, without the sandbox."""
    task = task_for(path, limits)
    return collected(list(renderer_for(task.file_type)(task)))


def collected(items: Sequence[SourceFacts | RenderedPage]) -> Rendered:
    """Facts, which must come first and once, and the pages."""
    facts, *pages = items
    assert isinstance(facts, SourceFacts)
    assert all(isinstance(page, RenderedPage) for page in pages)
    return facts, [page for page in pages if isinstance(page, RenderedPage)]


def picture_of(page: RenderedPage) -> Image.Image:
    """The page image, loaded."""
    assert page.image is not None, page.error_message
    with Image.open(page.image) as image:
        image.load()
        return image


def make_pdf(
    path: Path,
    texts: Sequence[str],
    *,
    rotation: int = 0,
    password: str | None = None,
    **owner: str,
) -> Path:
    """One A6 page a text, the text near the left edge; "" is a blank page."""
    encryption = None
    if password is not None:
        encryption = StandardEncryption(password, **owner)
    sheet = canvas.Canvas(str(path), pagesize=(298, 420), encrypt=encryption)
    sheet.setTitle("Microsoft Word - Rotor manual")
    for text in texts:
        sheet.setPageRotation(rotation)
        sheet.drawString(20, 270, text)
        sheet.showPage()
    sheet.save()
    return path


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """A PDF of the given objects, numbered from 1; the first is the catalog."""
    body, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
        + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    )


def make_slow_pdf(path: Path) -> Path:
    """Three pages; the second draws forms within forms, for longer than anyone waits."""
    depth, fan = 12, 12
    first_form = 6
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]%s>>"
    slow = b"/Resources<</XObject<</F %d 0 R>>>>/Contents %d 0 R" % (first_form, first_form)
    forms = []
    for level in range(depth):
        inner = first_form + level + 1
        draw = b"/F Do " * fan if level < depth - 1 else b"0 0 m 199 199 l S "
        resources = b"/Resources<</XObject<</F %d 0 R>>>>" % inner if level < depth - 1 else b""
        forms.append(
            b"<</Type/XObject/Subtype/Form/BBox[0 0 200 200]%s/Length %d>>stream\n%s\nendstream"
            % (resources, len(draw), draw)
        )
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 3/Kids[3 0 R 4 0 R 5 0 R]>>",
        page % b"",
        page % slow,
        page % b"",
        *forms,
    ]
    path.write_bytes(raw_pdf(objects))
    return path


def make_deck(path: Path, *, hidden: Sequence[int] = ()) -> Path:
    """Four slides with titles "Slide N title" and notes "Notes of slide N"; 2 has a table."""
    deck = Presentation()
    deck.core_properties.title = "Quarterly review"
    for number in range(1, 5):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = f"Slide {number} title"
        slide.notes_slide.notes_text_frame.text = f"Notes of slide {number}"
        if number in hidden:
            slide._element.set("show", "0")
    _add_table(deck.slides[1])
    _add_picture(deck.slides[2])
    deck.save(str(path))
    return path


def _add_table(slide: object) -> None:
    frame = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(6), Inches(1))  # type: ignore[attr-defined]
    frame.table.cell(0, 0).text = "Revenue"
    frame.table.cell(1, 1).text = "4711"


def _add_picture(slide: object) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), (200, 30, 30)).save(stream, "PNG")
    stream.seek(0)
    slide.shapes.add_picture(stream, Inches(1), Inches(2), Inches(3), Inches(2))  # type: ignore[attr-defined]
    box = slide.shapes.add_textbox(Inches(5), Inches(2), Inches(3), Inches(1))  # type: ignore[attr-defined]
    box.text_frame.text = "東京の売上 grew"
    box.text_frame.paragraphs[0].runs[0].font.size = Pt(20)


def rewrite_zip(source: Path, target: Path, changes: dict[str, bytes]) -> Path:
    """A copy of a package with some parts replaced or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changes:
                new.writestr(name, old.read(name))
        for name, content in changes.items():
            new.writestr(name, content)
    return target


def noise(size: tuple[int, int], seed: int = 7) -> Image.Image:
    """A picture that does not compress, so that cutting the file cuts pixels."""
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))
