"""Opens and writes a slide deck: theme, page size, fixed dates; draws nothing."""

import io
import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.util import Inches

from searchapp.demo import company

FONT = "Arial"
# A fixed date keeps the bytes, and so the hash, of every build equal.
BUILT = datetime(2026, 1, 15, 9, 0)
ZIP_DATE = (2026, 1, 15, 9, 0, 0)
XLSX_DATE = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")


def deck_new(title: str, subject: str) -> Any:
    """An empty 16:9 presentation with the company's theme."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
    _theme_apply(deck)
    core = deck.core_properties
    core.title, core.subject, core.author = title, subject, company.LEGAL_NAME
    core.created = core.modified = BUILT
    core.last_modified_by = company.LEGAL_NAME
    return deck


def _theme_apply(deck: Any) -> None:
    master = deck.slide_master
    theme = master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
    blob = theme.blob.replace(b'"Calibri"', f'"{FONT}"'.encode())
    for number, accent in enumerate(company.SERIES, start=1):
        tag = f"a:accent{number}"
        new = f'<{tag}><a:srgbClr val="{accent}"/></{tag}>'
        blob = re.sub(rf"<{tag}>.*?</{tag}>".encode(), new.encode(), blob, flags=re.DOTALL)
    theme._blob = blob
    for shape in [*master.placeholders, *_layout_shapes(deck)]:
        kind = shape.placeholder_format.type
        if shape.placeholder_format.idx == 0 and "CENTER" not in str(kind):
            place(shape, 0.6, 0.42, 12.1, 0.85)
        elif shape.placeholder_format.idx == 1 and "BODY" in str(kind) + "OBJECT":
            place(shape, 0.6, 1.6, 12.1, 5.1)


def _layout_shapes(deck: Any) -> list[Any]:
    return [s for layout in deck.slide_layouts for s in layout.placeholders]


def place(shape: Any, x: float, y: float, w: float, h: float) -> None:
    shape.left, shape.top, shape.width, shape.height = (Inches(v) for v in (x, y, w, h))


def deck_save(deck: Any, path: Path) -> None:
    """Write the deck with fixed dates inside, so that equal content is equal bytes."""
    buffer = io.BytesIO()
    deck.save(buffer)
    path.write_bytes(_zip_fixed(buffer.getvalue()))


def _zip_fixed(content: bytes) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            blob = source.read(name)
            if name.endswith(".xlsx"):
                blob = _zip_fixed(blob)
            elif name == "docProps/core.xml":
                blob = XLSX_DATE.sub(rb"\g<1>2026-01-15T09:00:00Z", blob)
            member = zipfile.ZipInfo(name, ZIP_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(member, blob)
    return out.getvalue()
