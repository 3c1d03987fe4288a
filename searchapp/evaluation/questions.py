"""Judged queries as files: `queries.jsonl`, a line a query. Knows no rows and asks nothing.

`{"id", "kind", "query" | "query_image", "relevant": [{"file", "page"}], "irrelevant": [...]}`, both
`query` and `query_image` for words with a picture. Paths are relative to the folder of the file;
pages count from 1. `irrelevant` may be absent: pages that people judged to be no answer.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from searchapp import engine
from searchapp.errors import InvalidInput

HALVES = ("A", "B")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A page by file (relative to the folder) and number; sha256 of the file where it is known."""

    file: str
    page: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class FileQuery:
    """One query of a file and the pages that answer it, or do not."""

    id: str
    kind: str
    parts: tuple[engine.Part, ...]
    relevant: frozenset[Place]
    irrelevant: frozenset[Place] = frozenset()


def queries_read(path: Path) -> list[FileQuery]:
    """The judged queries of a file. Raises InvalidInput `no_queries`, `bad_query` (which line)."""
    if not path.is_file():
        raise InvalidInput("no_queries", f"{path} is missing.")
    queries: dict[str, FileQuery] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            query = _query(json.loads(line), path.parent)
            if query.id in queries:
                raise ValueError(f"the id {query.id!r} stands twice")
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            raise InvalidInput("bad_query", f"{path} line {number}: {error!r}") from error
        queries[query.id] = query
    if not queries:
        raise InvalidInput("no_queries", f"{path} has no queries.")
    return list(queries.values())


def _lines(path: Path) -> list[str]:
    try:
        # Not splitlines: a query may hold a line separator (U+2028), which JSON leaves as it is.
        return path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidInput("bad_query", f"{path} is not UTF-8: {error}") from error


def _query(row: Mapping[str, Any], folder: Path) -> FileQuery:
    parts: list[engine.Part] = []
    if row.get("query"):
        parts.append(engine.TextPart(str(row["query"])))
    if row.get("query_image"):
        parts.append(engine.ImagePart(_inside(folder, row["query_image"]).read_bytes()))
    relevant = frozenset(map(_place, row["relevant"]))
    irrelevant = frozenset(map(_place, row.get("irrelevant", [])))
    if not parts or not relevant | irrelevant:
        raise ValueError("a query needs words or a picture, and at least one judged page")
    return FileQuery(str(row["id"]), str(row["kind"]), tuple(parts), relevant, irrelevant)


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder; a file that came from elsewhere names no others of this machine."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} lies outside of the folder")
    return path


def _place(item: Mapping[str, Any]) -> Place:
    return Place(str(item["file"]), int(item["page"]), str(item.get("sha256", "")))


def queries_write(path: Path, queries: Iterable[FileQuery]) -> int:
    """Write `queries.jsonl` (whatever it is called) and the pictures beside it; how many lines."""
    lines = [json.dumps(_row(query, path.parent), ensure_ascii=False) for query in queries]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(lines)


def _row(query: FileQuery, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"id": query.id, "kind": query.kind}
    for part in query.parts:
        if isinstance(part, engine.TextPart):
            row["query"] = part.text
        else:
            row["query_image"] = _picture_write(folder, part.content)
    row["relevant"] = [_item(place) for place in sorted(query.relevant)]
    row["irrelevant"] = [_item(place) for place in sorted(query.irrelevant)]
    return row


def _picture_write(folder: Path, content: bytes) -> str:
    name = f"query_images/{hashlib.sha256(content).hexdigest()[:16]}.jpg"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return name


def _item(place: Place) -> dict[str, Any]:
    known = {"sha256": place.sha256} if place.sha256 else {}
    return {"file": place.file, "page": place.page} | known


def half_of(files: Iterable[str]) -> str:
    """A or B: by hash of the name of the (first) file that answers, so that the queries about one
    document are on one side: choose on A, report on B."""
    names = sorted(PurePosixPath(file).name for file in files)
    if not names:
        return HALVES[0]
    return HALVES[hashlib.sha256(names[0].encode()).digest()[0] % 2]
