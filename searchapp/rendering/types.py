"""What crosses the border between rendering and the rest: frozen dataclasses, no Django."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["pdf", "deck", "image"]


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """Bounds of one render. Pixels: width x height; memory, sizes: bytes; times: seconds."""

    max_pages: int = 5_000
    page_pixels: int = 1_300_000
    thumbnail_width: int = 400
    max_source_pixels: int = 178_956_970
    memory_bytes: int = 1_500_000_000
    cpu_seconds: int = 600
    wall_seconds: int = 900
    office_seconds: int = 120
    page_seconds: int = 60
    max_output_bytes: int = 2_000_000_000
    max_unpacked_bytes: int = 1_000_000_000
    max_archive_ratio: int = 200
    max_archive_entries: int = 10_000
    max_text_chars: int = 200_000


@dataclass(frozen=True, slots=True)
class Word:
    """One word and its box, in fractions (0..1) of the page: origin top left, y downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class FileType:
    """What the bytes of a file are. `kind` is what people filter by."""

    media_type: str
    kind: Kind
    extension: str
    label: str


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """First thing a render yields: the page count. `notices` say what was replaced or missing."""

    page_count: int
    title: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """One page, `number` as in the source (from 1). `image` is None when `error_code` is set.

    image: JPEG or WebP of at most `page_pixels`; thumbnail: WebP of `thumbnail_width`.
    text: the text layer (may be empty); words: its boxes. A failed page is a page with an error.
    """

    number: int
    image: Path | None
    thumbnail: Path | None
    width: int
    height: int
    text: str = ""
    words: tuple[Word, ...] = ()
    has_text_layer: bool = False
    notes: str = ""
    hidden: bool = False
    notices: tuple[str, ...] = ()
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class RenderTask:
    """What a renderer gets: a local file, its type, an empty folder of its own, limits.

    skip: page numbers that are already stored and need not be rendered again. soffice: name or path
    of LibreOffice's program; empty to do without it.
    """

    source: Path
    file_type: FileType
    workdir: Path
    limits: RenderLimits = field(default_factory=RenderLimits)
    skip: frozenset[int] = frozenset()
    soffice: str = "soffice"


Renderer = Callable[[RenderTask], Iterator[SourceFacts | RenderedPage]]
