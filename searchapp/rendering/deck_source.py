"""What a deck's own file says: slides in order, which are hidden, speaker notes, title, fonts.

Reads the packages' XML directly, so that a damaged part costs what it held and nothing else. Knows
nothing of LibreOffice or pictures.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET  # the bundled expat stops entity expansion attacks

from .packages import ZIP_ERRORS

_PART_BYTES = 100_000_000
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TYPEFACE = re.compile(rb'<a:(?:latin|ea|cs) typeface="([^"+][^"]*)"')
_ODF_FONT = re.compile(rb'svg:font-family="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide as its source tells it."""

    is_hidden: bool = False
    notes: str = ""


@dataclass(frozen=True, slots=True)
class DeckSource:
    """The slides in order, hidden ones included."""

    slides: tuple[Slide, ...]
    title: str = ""
    fonts: frozenset[str] = field(default_factory=frozenset)


def read_deck_source(path: Path) -> DeckSource | None:
    """What a pptx or odp package says; None for other files and where the main part is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            package = _Package(archive)
            names = archive.namelist()
            if "ppt/presentation.xml" in names:
                return _read_pptx(package)
            return _read_odp(package) if "content.xml" in names else None
    except ZIP_ERRORS:
        return None


class _Package:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def content(self, name: str) -> bytes:
        """The bytes of a part; b"" when it is missing or damaged."""
        try:
            with self._archive.open(name) as part:
                return part.read(_PART_BYTES)
        except (*ZIP_ERRORS, RuntimeError):
            return b""

    def tree(self, name: str) -> ET.Element | None:
        """The root element of a part; None when it is missing or damaged."""
        try:
            return ET.fromstring(self.content(name))  # noqa: S314
        except ET.ParseError:
            return None

    def targets(self, name: str) -> dict[str, tuple[str, str]]:
        """Relationship id -> last word of its type and part name, of the part `name`."""
        folder, base = posixpath.split(name)
        root = self.tree(f"{folder}/_rels/{base}.rels")
        return {
            link.get("Id", ""): (
                link.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, link.get("Target", ""))).lstrip("/"),
            )
            for link in (root if root is not None else ())
        }

    def title(self, name: str) -> str:
        """The dc:title in a metadata part."""
        root = self.tree(name)
        found = None if root is None else root.find(f".//{_DC_TITLE}")
        return (found.text or "").strip() if found is not None else ""


def _read_pptx(package: _Package) -> DeckSource | None:
    main = "ppt/presentation.xml"
    root = package.tree(main)
    if root is None:
        return None
    targets = package.targets(main)
    ids = [slide.get(f"{_R}id", "") for slide in root.iter(f"{_P}sldId")]
    parts = [targets.get(identifier, ("", ""))[1] for identifier in ids]
    return DeckSource(
        slides=tuple(_pptx_slide(package, part) for part in parts),
        title=package.title("docProps/core.xml"),
        fonts=_pptx_fonts(package, [*parts, "ppt/theme/theme1.xml"]),
    )


def _pptx_slide(package: _Package, part: str) -> Slide:
    root = package.tree(part)
    if root is None:
        return Slide()
    notes = next(
        (name for kind, name in package.targets(part).values() if kind == "notesSlide"), ""
    )
    return Slide(root.get("show") in ("0", "false"), _pptx_notes(package.tree(notes)))


def _pptx_notes(root: ET.Element | None) -> str:
    if root is None:
        return ""
    bodies = [shape for shape in root.iter(f"{_P}sp") if _is_notes_body(shape)]
    return "\n".join(line for body in bodies for line in _paragraphs(body)).strip()


def _is_notes_body(shape: ET.Element) -> bool:
    placeholder = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return placeholder is not None and placeholder.get("type") == "body"


def _paragraphs(shape: ET.Element) -> Iterator[str]:
    for paragraph in shape.iter(f"{_A}p"):
        yield "".join(
            "\n" if run.tag == f"{_A}br" else run.text or ""
            for run in paragraph.iter()
            if run.tag in (f"{_A}t", f"{_A}br")
        )


def _pptx_fonts(package: _Package, parts: list[str]) -> frozenset[str]:
    found = {name for part in parts for name in _TYPEFACE.findall(package.content(part))}
    return frozenset(unescape(name.decode(errors="replace")) for name in found)


def _read_odp(package: _Package) -> DeckSource | None:
    root = package.tree("content.xml")
    if root is None:
        return None
    hidden = {
        style.get(f"{_STYLE}name")
        for style in root.iter(f"{_STYLE}style")
        for properties in style.iter(f"{_STYLE}drawing-page-properties")
        if properties.get(f"{_PRESENTATION}visibility") == "hidden"
    }
    fonts = _ODF_FONT.findall(package.content("content.xml"))
    return DeckSource(
        slides=tuple(
            Slide(page.get(f"{_DRAW}style-name") in hidden, _odp_notes(page))
            for page in root.iter(f"{_DRAW}page")
        ),
        title=package.title("meta.xml"),
        fonts=frozenset(unescape(font.decode(errors="replace")).strip("'") for font in fonts),
    )


def _odp_notes(page: ET.Element) -> str:
    lines = [
        "".join(paragraph.itertext())
        for notes in page.iter(f"{_PRESENTATION}notes")
        for frame in notes.iter(f"{_DRAW}frame")
        if frame.get(f"{_PRESENTATION}class") == "notes"
        for paragraph in frame.iter(f"{_TEXT}p")
    ]
    return "\n".join(lines).strip()
