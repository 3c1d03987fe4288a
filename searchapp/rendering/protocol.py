"""The lines a render child and its parent exchange: one JSON object each.

Knows nothing of processes. The parent trusts nothing here: a picture is a bare file name inside the
task's folder, so that a child taken over by a hostile file cannot point at other files.
"""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from searchapp.errors import FileRejected, RenderFailed, SearchappError

from .types import FileType, RenderedPage, RenderLimits, RenderTask, SourceFacts, Word

_PICTURE_NAME = re.compile(r"[0-9]{1,9}(?:\.thumb)?\.(?:jpg|webp)")
_ERRORS = {"FileRejected": FileRejected, "RenderFailed": RenderFailed}

Item = SourceFacts | RenderedPage


def encode_task(task: RenderTask, parent: int) -> bytes:
    """The task and the process id whose death the child must not outlive."""
    fields = {
        "source": str(task.source),
        "workdir": str(task.workdir),
        "file_type": asdict(task.file_type),
        "limits": asdict(task.limits),
        "skip": sorted(task.skip),
        "soffice": task.soffice,
    }
    return json.dumps({"parent": parent, "task": fields}).encode()


def decode_task(line: bytes) -> tuple[RenderTask, int]:
    """Opposite of encode_task."""
    envelope = json.loads(line)
    fields = envelope["task"]
    task = RenderTask(
        source=Path(fields["source"]),
        file_type=FileType(**fields["file_type"]),
        workdir=Path(fields["workdir"]),
        limits=RenderLimits(**fields["limits"]),
        skip=frozenset(fields["skip"]),
        soffice=fields["soffice"],
    )
    return task, envelope["parent"]


def encode_item(item: Item) -> bytes:
    """One line, newline included."""
    if isinstance(item, SourceFacts):
        return _line({"facts": asdict(item)})
    fields = asdict(replace(item, words=()))
    fields["image"] = item.image and item.image.name
    fields["thumbnail"] = item.thumbnail and item.thumbnail.name
    fields["words"] = [(w.text, w.x0, w.y0, w.x1, w.y1) for w in item.words]
    return _line({"page": fields})


def encode_error(error: SearchappError) -> bytes:
    """One line for an expected failure of the whole file."""
    fields = {"code": error.code, "message": error.message, "retryable": error.retryable}
    return _line({"error": {"kind": type(error).__name__, **fields}})


def decode_item(line: bytes, workdir: Path) -> Item:
    """What the child said; raises the error it reported, or ValueError for a malformed line."""
    try:
        message = json.loads(line)
        if "error" in message:
            raise _error(message["error"])
        if "facts" in message:
            facts = message["facts"]
            return SourceFacts(
                int(facts["page_count"]), str(facts["title"]), tuple(map(str, facts["notices"]))
            )
        return _page(message["page"], workdir)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("malformed line from the render child") from error


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _error(fields: dict[str, Any]) -> SearchappError:
    kind = _ERRORS.get(fields["kind"], RenderFailed)
    return kind(fields["code"], fields["message"], retryable=bool(fields["retryable"]))


def _page(fields: dict[str, Any], workdir: Path) -> RenderedPage:
    return RenderedPage(
        **{
            **fields,
            "image": _picture(fields["image"], workdir),
            "thumbnail": _picture(fields["thumbnail"], workdir),
            "words": tuple(Word(*word) for word in fields["words"]),
            "notices": tuple(fields["notices"]),
        }
    )


def _picture(name: str | None, workdir: Path) -> Path | None:
    if name is None:
        return None
    path = workdir / name
    if not _PICTURE_NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
        raise ValueError("the render child named a picture that is not there")
    return path
