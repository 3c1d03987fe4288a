"""The process in which an untrusted file is opened: limits itself, renders, streams JSON lines.

Run as `python -m searchapp.rendering.child` with one task on stdin; knows nothing of the app.
"""

import os
import sys
from typing import BinaryIO

from searchapp.errors import RenderFailed, SearchappError

from .confinement import die_with_parent, limit_resources, restrict_files
from .formats import renderer_for
from .protocol import decode_task, encode_error, encode_item
from .types import RenderLimits, RenderTask


def main() -> None:
    """Render the task on stdin. Leaves without clean-up: the parent owns the folder."""
    task, parent = decode_task(sys.stdin.buffer.read())
    die_with_parent(parent)
    limit_resources(task.limits)
    restrict_files(task)
    with _reserved_stdout() as channel:
        _stream(task, channel)
    os._exit(0)


def _reserved_stdout() -> BinaryIO:
    """The real stdout for the protocol; what a library prints goes to stderr."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return channel


def _stream(task: RenderTask, channel: BinaryIO) -> None:
    try:
        for item in renderer_for(task.file_type)(task):
            channel.write(encode_item(item))
            channel.flush()
    except SearchappError as error:
        channel.write(encode_error(error))
    except MemoryError:
        channel.write(encode_error(_out_of_memory(task.limits)))


def _out_of_memory(limits: RenderLimits) -> RenderFailed:
    megabytes = limits.memory_bytes // 1_000_000
    return RenderFailed(
        "render_out_of_memory",
        f"Rendering needs more than the limit of {megabytes} MB of memory. Reduce the file.",
    )


if __name__ == "__main__":
    main()
