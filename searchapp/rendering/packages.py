"""Zip packages (Office Open XML, OpenDocument): bomb check first, then what the main part is.

Knows nothing of the registry. Only the directory and a few small naming parts are read.
"""

import re
import zipfile
import zlib
from pathlib import Path

from searchapp.errors import FileRejected

from .types import RenderLimits

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
)
# XML shrinks well: below this unpacked size no ratio is suspicious.
RATIO_FLOOR_BYTES = 20_000_000
_NAMING_PART_BYTES = 4_000_000
_DIRECTORY_ENTRY_BYTES = 1_000
_END_RECORD = b"PK\x05\x06"
_END_RECORD_REACH = 22 + 65_535
_MAIN_TYPE = re.compile(rb"""ContentType\s*=\s*["']([^"']+\.main\+xml)["']""")
_ENCRYPTED_ODF = re.compile(rb"<[\w:]*encryption-data[\s>]|encrypted-package")


def check_package(path: Path, limits: RenderLimits) -> None:
    """Raise FileRejected archive_bomb, encrypted_file or corrupt_file; else it may be opened."""
    _check_directory_size(path, limits)
    with _opened(path) as archive:
        entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    ratio = unpacked / max(packed, 1)
    if len(entries) > limits.max_archive_entries:
        raise _bomb(f"it has {len(entries)} parts, the limit is {limits.max_archive_entries}")
    if unpacked > limits.max_unpacked_bytes:
        limit = limits.max_unpacked_bytes // 1_000_000
        raise _bomb(f"it unpacks to {unpacked // 1_000_000} MB, the limit is {limit} MB")
    if unpacked > RATIO_FLOOR_BYTES and ratio > limits.max_archive_ratio:
        raise _bomb(f"it unpacks to {ratio:.0f} times its size")
    if packed > path.stat().st_size:
        raise _bomb("its parts overlap")
    if any(entry.flag_bits & 1 for entry in entries):
        raise encrypted()


def package_type(path: Path) -> str:
    """Content type of the main part or OpenDocument `mimetype`; "" when it is neither.

    Raises FileRejected encrypted_file (OpenDocument with a password), corrupt_file.
    """
    with _opened(path) as archive:
        names = archive.namelist()
        if "[Content_Types].xml" in names:
            found = _MAIN_TYPE.search(_read(archive, "[Content_Types].xml"))
            return found[1].decode("ascii", "replace") if found else ""
        if "mimetype" in names:
            manifest = "META-INF/manifest.xml"
            if manifest in names and _ENCRYPTED_ODF.search(_read(archive, manifest)):
                raise encrypted()
            return _read(archive, "mimetype")[:200].decode("ascii", "replace").strip()
        return "keynote" if any(name.endswith((".iwa", "Index.zip")) for name in names) else ""


def encrypted() -> FileRejected:
    """The rejection of a file that asks for a password."""
    return FileRejected(
        "encrypted_file",
        "The file is protected by a password. Save a copy without the password and upload that.",
    )


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        raise _corrupt() from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as part:
            return part.read(_NAMING_PART_BYTES)
    except (*ZIP_ERRORS, RuntimeError) as error:
        raise _corrupt() from error


def _check_directory_size(path: Path, limits: RenderLimits) -> None:
    """Refuse a huge directory before zipfile builds an object for each of its entries."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _END_RECORD_REACH))
        tail = stream.read()
    start = tail.rfind(_END_RECORD)
    if start < 0 or len(tail) < start + 16:
        raise _corrupt()
    directory_bytes = int.from_bytes(tail[start + 12 : start + 16], "little")
    if directory_bytes > limits.max_archive_entries * _DIRECTORY_ENTRY_BYTES:
        raise _bomb(f"its directory alone takes {directory_bytes // 1_000_000} MB")


def _corrupt() -> FileRejected:
    return FileRejected(
        "corrupt_file", "The file is a damaged or cut-off zip package. Save or download it again."
    )


def _bomb(reason: str) -> FileRejected:
    return FileRejected("archive_bomb", f"The package is not opened: {reason}. Save it anew.")
