"""The registry of file formats: what each is called, looks like and is rendered by.

Knows no renderer code: `renderer` is a dotted path, imported when a file of the format is rendered.
A new format is one entry here and one module beside it.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from .types import FileType, Kind, Renderer

PDF = "searchapp.rendering.pdf:render_pdf"
OFFICE = "searchapp.rendering.office:render_deck"
IMAGE = "searchapp.rendering.images:render_image"

_OOXML = "application/vnd.openxmlformats-officedocument.presentationml"
_MICROSOFT = "application/vnd.ms-powerpoint"
_HEIC_BRANDS = rb"(?:heic|heix|heim|heis|hevc|hevx|heif)"


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """One format; exactly one of the three recognisers is set.

    signature: regular expression on the first 1024 bytes. package_type: content type of the main
    part of a zip package (Office Open XML) or its `mimetype` entry (OpenDocument). ole_stream:
    name of a top-level stream of an OLE2 file. pillow: Pillow's name, for images.
    """

    file_type: FileType
    extensions: tuple[str, ...]
    renderer: str
    signature: bytes = b""
    package_type: str = ""
    ole_stream: str = ""
    pillow: str = ""


def _spec(
    media_type: str,
    kind: Kind,
    label: str,
    extensions: str,
    renderer: str,
    **recogniser: str | bytes,
) -> FormatSpec:
    names = tuple(extensions.split())
    file_type = FileType(media_type, kind, names[0], label)
    return FormatSpec(file_type, names, renderer, **recogniser)  # type: ignore[arg-type]


def _ooxml(name: str, label: str, extension: str) -> FormatSpec:
    return _spec(
        f"{_OOXML}.{name}",
        "deck",
        label,
        extension,
        OFFICE,
        package_type=f"{_OOXML}.{name}.main+xml",
    )


def _macro(name: str, label: str, extension: str) -> FormatSpec:
    return _spec(
        f"{_MICROSOFT}.{name}.macroEnabled.12",
        "deck",
        label,
        extension,
        OFFICE,
        package_type=f"{_MICROSOFT}.{name}.macroEnabled.main+xml",
    )


def _image(name: str, label: str, extensions: str, signature: bytes, pillow: str) -> FormatSpec:
    return _spec(
        f"image/{name}", "image", label, extensions, IMAGE, signature=signature, pillow=pillow
    )


_SPECS = (
    _ooxml("presentation", "PowerPoint presentation", ".pptx"),
    _ooxml("slideshow", "PowerPoint show", ".ppsx"),
    _macro("presentation", "PowerPoint presentation with macros", ".pptm"),
    _macro("slideshow", "PowerPoint show with macros", ".ppsm"),
    _spec(
        _MICROSOFT,
        "deck",
        "PowerPoint 97-2003 presentation",
        ".ppt .pps",
        OFFICE,
        ole_stream="PowerPoint Document",
    ),
    _spec(
        "application/vnd.oasis.opendocument.presentation",
        "deck",
        "OpenDocument presentation",
        ".odp",
        OFFICE,
        package_type="application/vnd.oasis.opendocument.presentation",
    ),
    _image("png", "PNG image", ".png", rb"\x89PNG\r\n\x1a\n", "PNG"),
    _image("jpeg", "JPEG image", ".jpg .jpeg .jpe .jfif", rb"\xff\xd8\xff", "JPEG"),
    _image("webp", "WebP image", ".webp", rb"RIFF.{4}WEBP", "WEBP"),
    _image("gif", "GIF image", ".gif", rb"GIF8[79]a", "GIF"),
    _image("bmp", "BMP image", ".bmp .dib", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    _image("tiff", "TIFF image", ".tif .tiff", rb"II[*+]\0|MM\0[*+]", "TIFF"),
    _image(
        "avif",
        "AVIF image",
        ".avif",
        rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{4,40}?avi[fs])",
        "AVIF",
    ),
    _image(
        "heic",
        "HEIC image",
        ".heic .heif .hif",
        rb".{4}ftyp(?:" + _HEIC_BRANDS + rb"|(?:mif1|msf1))",
        "HEIF",
    ),
    # Last, because its header may stand anywhere in the first 1024 bytes.
    _spec("application/pdf", "pdf", "PDF document", ".pdf", PDF, signature=rb".{0,1019}?%PDF-"),
)

FORMATS: dict[str, FormatSpec] = {spec.file_type.media_type: spec for spec in _SPECS}


def format_for(file_type: FileType) -> FormatSpec:
    """The registry entry of a file type. Raises KeyError for one that is not registered."""
    return FORMATS[file_type.media_type]


def format_by_extension(extension: str) -> FormatSpec | None:
    """The format whose files carry this extension (".pdf"), in any case."""
    wanted = extension.lower()
    return next((spec for spec in FORMATS.values() if wanted in spec.extensions), None)


def accepted_extensions() -> tuple[str, ...]:
    """All extensions of the registry, for forms, messages and API docs."""
    return tuple(extension for spec in FORMATS.values() for extension in spec.extensions)


def renderer_for(file_type: FileType) -> Renderer:
    """Import and return the renderer of a file type."""
    module, _, name = format_for(file_type).renderer.partition(":")
    return cast(Renderer, getattr(import_module(module), name))
