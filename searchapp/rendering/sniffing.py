"""Decides from its bytes what a file is, and refuses what cannot become pages.

Knows no renderer; opens nothing but headers, a zip's directory and its naming parts. The file's
name only serves to catch files that claim to be something else.
"""

import re
from pathlib import Path

from searchapp.errors import FileRejected

from . import foreign, ole
from .formats import FORMATS, FormatSpec, accepted_extensions, format_by_extension
from .packages import check_package, encrypted, package_type
from .types import FileType, RenderLimits

HEAD_BYTES = 1024
_ZIP = b"PK"
_SIGNATURES = tuple(
    (re.compile(spec.signature, re.DOTALL), spec) for spec in FORMATS.values() if spec.signature
)


def sniff(path: Path, *, filename: str = "", limits: RenderLimits | None = None) -> FileType:
    """The type of a file by its bytes.

    Raises FileRejected: empty_file, unsupported_type, type_mismatch (the name promises another
    kind of document), encrypted_file, corrupt_file, archive_bomb.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise FileRejected("empty_file", "The file is empty (0 bytes). Save or copy it again.")
    spec = _recognised(path, head, limits or RenderLimits())
    _check_claim(spec, filename)
    return spec.file_type


def _recognised(path: Path, head: bytes, limits: RenderLimits) -> FormatSpec:
    for pattern, spec in _SIGNATURES:
        if pattern.match(head):
            return spec
    if head.startswith(_ZIP) and head[2:4] in (b"\x03\x04", b"\x05\x06"):
        return _package_format(path, limits)
    if head.startswith(ole.SIGNATURE):
        return _ole_format(path)
    raise _unsupported(foreign.name_of_bytes(head))


def _package_format(path: Path, limits: RenderLimits) -> FormatSpec:
    check_package(path, limits)
    found = package_type(path)
    for spec in FORMATS.values():
        if spec.package_type and spec.package_type == found:
            return spec
    raise _unsupported(foreign.name_of_package(found))


def _ole_format(path: Path) -> FormatSpec:
    streams = ole.top_level_names(path)
    if "EncryptedPackage" in streams:
        raise encrypted()
    for spec in FORMATS.values():
        if spec.ole_stream and spec.ole_stream in streams:
            if ole.is_encrypted_ppt(path):
                raise encrypted()
            return spec
    raise _unsupported(foreign.name_of_ole(streams))


def _unsupported(name: str) -> FileRejected:
    accepted = ", ".join(extension.lstrip(".") for extension in accepted_extensions())
    subject = f"The file is {name}, which" if name else "The type of the file is unknown: it"
    return FileRejected("unsupported_type", f"{subject} cannot be read here. Accepted: {accepted}.")


def _check_claim(spec: FormatSpec, filename: str) -> None:
    """A JPEG named .png is a picture all the same; a PDF named .pptx is not what it claims."""
    claimed = format_by_extension(Path(filename).suffix)
    if claimed is not None and claimed.file_type.kind != spec.file_type.kind:
        raise FileRejected(
            "type_mismatch",
            f"The name ends in {Path(filename).suffix}, but the file is a {spec.file_type.label}. "
            f"Name it {spec.file_type.extension} if that is what was meant.",
        )
