"""PDF into pages with pypdfium2: picture, text layer with word boxes, true page numbers.

Knows nothing of OCR: a page whose text layer cannot be used says so and leaves it to others.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from searchapp.errors import FileRejected

from .pdf_text import read_text_layer
from .renditions import failed_page, fitted_size, write_page
from .titles import clean_title
from .types import RenderedPage, RenderTask, SourceFacts

# A stamp-sized page gains nothing from more than this many pixels a point (720 dpi).
MAX_SCALE = 10.0


def render_pdf(task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    """Facts, then every page in order; a page that fails is a page with an error code.

    Raises FileRejected: encrypted_file, corrupt_file, no_pages, too_many_pages.
    """
    yield from render_pdf_file(task.source, task)


def render_pdf_file(source: Path, task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    """The same for a PDF that is not the task's source (a converted deck)."""
    with open_pdf(source) as document:
        claimed = len(document)
        count = _usable_count(document, claimed, task.limits.max_pages)
        yield SourceFacts(
            count, clean_title(document.get_metadata_value("Title")), _count_notices(claimed, count)
        )
        for number in range(1, count + 1):
            if number not in task.skip:
                yield _render_page(document, number, task)


def open_pdf(source: Path) -> pdfium.PdfDocument:
    """Open without a password, forms drawn. Raises FileRejected encrypted_file, corrupt_file."""
    try:
        document = pdfium.PdfDocument(source)
    except pdfium.PdfiumError as error:
        raise _rejection(error) from error
    if document.get_formtype() != pdfium_c.FORMTYPE_NONE:
        document.init_forms()
    return document


def _rejection(error: pdfium.PdfiumError) -> FileRejected:
    if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
        return FileRejected(
            "encrypted_file",
            "The PDF is protected by a password. Save a copy without the password and upload that.",
        )
    return FileRejected(
        "corrupt_file",
        "The PDF is damaged and cannot be opened. Export or download it again.",
    )


def _usable_count(document: pdfium.PdfDocument, claimed: int, max_pages: int) -> int:
    """Page count without trailing pages that do not exist, so that a lying page tree costs little.

    Raises FileRejected no_pages, too_many_pages.
    """
    if claimed > max_pages and _page_exists(document, max_pages):
        raise FileRejected(
            "too_many_pages",
            f"The document has {claimed} pages, more than the limit of {max_pages}. Split it.",
        )
    count = min(claimed, max_pages)
    while count and not _page_exists(document, count - 1):
        count -= 1
    if not count:
        raise FileRejected("no_pages", "The PDF holds no page that can be read. Export it again.")
    return count


def _page_exists(document: pdfium.PdfDocument, index: int) -> bool:
    size = pdfium_c.FS_SIZEF()
    return bool(pdfium_c.FPDF_GetPageSizeByIndexF(document, index, ctypes.byref(size)))


def _count_notices(claimed: int, count: int) -> tuple[str, ...]:
    if claimed == count:
        return ()
    return (f"The file claims {claimed} pages, but only {count} exist.",)


def _render_page(document: pdfium.PdfDocument, number: int, task: RenderTask) -> RenderedPage:
    try:
        page = document[number - 1]
    except pdfium.PdfiumError:
        return failed_page(number, "page_unreadable", f"Page {number} is damaged.")
    try:
        return _draw_and_read(page, number, task)
    except (pdfium.PdfiumError, OSError, ValueError, MemoryError) as error:
        return failed_page(
            number, "page_failed", f"Page {number} could not be rendered ({type(error).__name__})."
        )
    finally:
        page.close()


def _draw_and_read(page: pdfium.PdfPage, number: int, task: RenderTask) -> RenderedPage:
    rendered = write_page_image(page, number, task)
    layer = read_text_layer(page, task.limits.max_text_chars)
    return RenderedPage(
        number,
        rendered.image,
        rendered.thumbnail,
        rendered.width,
        rendered.height,
        text=layer.text,
        words=layer.words,
        has_text_layer=layer.is_usable,
    )


def write_page_image(page: pdfium.PdfPage, number: int, task: RenderTask) -> RenderedPage:
    """Draw a page on white at about `page_pixels` and write its pictures."""
    page_width, page_height = page.get_size()
    width, height = fitted_size(
        max(page_width, 1e-3), max(page_height, 1e-3), task.limits.page_pixels, MAX_SCALE
    )
    # RGBx shares its memory with Pillow; JPEG takes it as it is.
    bitmap = pdfium.PdfBitmap.new_native(
        width, height, pdfium_c.FPDFBitmap_BGRx, rev_byteorder=True
    )
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    flags = (
        pdfium_c.FPDF_ANNOT
        | pdfium_c.FPDF_REVERSE_BYTE_ORDER
        | pdfium_c.FPDF_RENDER_LIMITEDIMAGECACHE
    )
    pdfium_c.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, flags)
    if page.formenv:
        pdfium_c.FPDF_FFLDraw(page.formenv, bitmap, page, 0, 0, width, height, 0, flags)
    try:
        return write_page(bitmap.to_pil(), number, task)
    finally:
        bitmap.close()
