"""Names of the top-level streams of an OLE2 (Compound File) container; PowerPoint's password mark.

Knows only the directory of the container, not its contents. Damaged chains end early, quietly: what
was found until then is the answer.
"""

import mmap
import re
import struct
from pathlib import Path

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENTRY_BYTES = 128
_MAX_SECTORS = 100_000
_LAST_REGULAR_SECTOR = 0xFFFFFFF9
_NO_ENTRY = 0xFFFFFFFF
# CurrentUserAtom whose header token says "encrypted" (MS-PPT 2.3.2).
_ENCRYPTED_PPT = re.compile(rb"\x00\x00\xf6\x0f.{4}\x14\x00\x00\x00\xdf\xc4\xd1\xf3", re.DOTALL)

Entry = tuple[str, int, int, int]


def top_level_names(path: Path) -> frozenset[str]:
    """Names directly under the root, so that an embedded object does not speak for its host."""
    data = path.read_bytes()
    if len(data) < 512:
        return frozenset()
    entries = _directory(data)
    if not entries:
        return frozenset()
    names, waiting, seen = set(), [entries[0][3]], {_NO_ENTRY}
    while waiting:
        index = waiting.pop()
        if index in seen or index >= len(entries):
            continue
        seen.add(index)
        name, left, right, _child = entries[index]
        names.add(name)
        waiting += (left, right)
    return frozenset(names)


def is_encrypted_ppt(path: Path) -> bool:
    """Whether PowerPoint 97-2003 wrote the file with a password."""
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        return _ENCRYPTED_PPT.search(mapped) is not None


def _directory(data: bytes) -> list[Entry]:
    size = 1 << min(int.from_bytes(data[30:32], "little"), 16)
    table = _allocation_table(data, size)
    sector = int.from_bytes(data[48:52], "little")
    entries: list[Entry] = []
    seen: set[int] = set()
    while sector < len(table) and sector not in seen:
        seen.add(sector)
        block = data[(sector + 1) * size : (sector + 2) * size]
        entries += [
            _entry(block[at : at + _ENTRY_BYTES])
            for at in range(0, len(block) - _ENTRY_BYTES + 1, _ENTRY_BYTES)
        ]
        sector = table[sector]
    return entries


def _allocation_table(data: bytes, size: int) -> list[int]:
    """Next sector of every sector, from the table sectors that the header lists.

    The header lists 109 of them, enough for the first 7 MB of sectors at 512 bytes; the directory
    of a longer file may lie behind that, so the chain of further lists is followed too.
    """
    table: list[int] = []
    for sector in _table_sectors(data, size)[:_MAX_SECTORS]:
        block = data[(sector + 1) * size : (sector + 2) * size]
        table += struct.unpack(f"<{len(block) // 4}I", block[: len(block) // 4 * 4])
    return table


def _table_sectors(data: bytes, size: int) -> list[int]:
    sectors = list(struct.unpack("<109I", data[76:512]))
    following = int.from_bytes(data[68:72], "little")
    seen: set[int] = set()
    while following <= _LAST_REGULAR_SECTOR and following not in seen:
        seen.add(following)
        block = data[(following + 1) * size : (following + 2) * size]
        if len(block) < size:
            break
        *more, following = struct.unpack(f"<{size // 4}I", block)
        sectors += more
    return [sector for sector in sectors if sector <= _LAST_REGULAR_SECTOR]


def _entry(block: bytes) -> Entry:
    length = min(int.from_bytes(block[64:66], "little"), 64)
    name = block[: max(0, length - 2)].decode("utf-16-le", "replace")
    left, right, child = struct.unpack("<3I", block[68:80])
    return name, left, right, child
