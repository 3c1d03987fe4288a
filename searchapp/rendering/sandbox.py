"""Runs a renderer in a confined child process and hands out what it streams.

Knows nothing of formats: it starts the child, watches time, kills the whole process group and turns
the ways a child can die into errors. A page that kills the child costs that page, not the document.
"""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO

from searchapp.errors import RenderFailed

from .confinement import child_command, child_environment
from .confinement import protections as protections
from .protocol import Item, decode_item, encode_task
from .renditions import failed_page
from .types import RenderedPage, RenderTask, SourceFacts

logger = logging.getLogger(__name__)

# How many pages of one document may end the child before the document is given up.
MAX_RESTARTS = 5
START_SECONDS = 30
MAX_LINE_BYTES = 64_000_000
_CHUNK_BYTES = 1 << 16

# Failures that are laid to the page in work, with what that page then says.
_PAGE_FAULTS = {
    "render_crashed": "Page {} ended the renderer.",
    "page_timeout": "Page {} took longer than the limit for one page.",
    "render_out_of_memory": "Page {} needs more memory than the limit.",
}


def render(task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    """SourceFacts, then the pages not in `task.skip` in order, each as soon as its files are there.

    Closing the iterator kills the child. Raises FileRejected (what the renderer refuses) and
    RenderFailed: render_crashed, render_timeout, render_out_of_memory, output_too_large.
    """
    progress = _Progress(task)
    for _ in range(MAX_RESTARTS):
        try:
            yield from progress.news(_run_child(progress.next_attempt(), progress))
        except RenderFailed as failure:
            number = progress.page_in_work()
            if number is None or failure.retryable or failure.code not in _PAGE_FAULTS:
                raise
            logger.warning("page %d of %s: %s", number, task.source.name, failure)
            progress.done.add(number)
            yield failed_page(number, failure.code, _PAGE_FAULTS[failure.code].format(number))
        else:
            return
    raise RenderFailed(
        "render_crashed", f"{MAX_RESTARTS} pages ended the renderer. Repair the file."
    )


class _Progress:
    """What one render has done over all its children: pages, seconds waited, bytes written."""

    def __init__(self, task: RenderTask) -> None:
        self._task = task
        self.facts: SourceFacts | None = None
        self.done: set[int] = set(task.skip)
        self._has_spoken = False
        self.waited = 0.0
        self.written = 0

    def next_attempt(self) -> RenderTask:
        """The task without what is done, for a child that has not spoken yet."""
        self._has_spoken = False
        return replace(self._task, skip=frozenset(self.done))

    def page_in_work(self) -> int | None:
        """The first page not yet done; None before the facts are known and after the last page."""
        if self.facts is None:
            return None
        numbers = range(1, self.facts.page_count + 1)
        return next((number for number in numbers if number not in self.done), None)

    def news(self, items: Generator[Item]) -> Iterator[Item]:
        """The items, facts only once; closes the source when it is closed itself."""
        with closing(items):
            for item in items:
                self._has_spoken = True
                if isinstance(item, RenderedPage):
                    self._count(item)
                    yield item
                elif self.facts is None:
                    self.facts = item
                    yield item

    def _count(self, page: RenderedPage) -> None:
        self.done.add(page.number)
        self.written += sum(path.stat().st_size for path in (page.image, page.thumbnail) if path)
        limit = self._task.limits.max_output_bytes
        if self.written > limit:
            raise RenderFailed(
                "output_too_large",
                f"The pages take more than the limit of {limit // 1_000_000} MB. Split the file.",
            )

    def patience(self) -> float:
        """Seconds to wait for the next message; only waiting counts, not what the caller does."""
        limits = self._task.limits
        before_facts = START_SECONDS + 2 * limits.office_seconds
        longest = limits.page_seconds if self._has_spoken else before_facts
        return max(0.0, min(limits.wall_seconds - self.waited, longest))

    def timeout(self) -> RenderFailed:
        """The error for a wait that was as long as `patience` allows."""
        limits = self._task.limits
        if self._has_spoken and self.waited < limits.wall_seconds:
            return RenderFailed("page_timeout", f"No page came in {limits.page_seconds} seconds.")
        # A loaded machine may be the reason, so another try is worth it.
        return RenderFailed(
            "render_timeout",
            f"Rendering took longer than the limit of {limits.wall_seconds} seconds.",
            retryable=True,
        )


def _run_child(task: RenderTask, progress: _Progress) -> Generator[Item]:
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=task.workdir) as folder:
        scratch = Path(folder)
        process = _start(task, scratch)
        assert process.stdout is not None
        try:
            for line in _lines(process.stdout, progress):
                yield _decoded(line, task.workdir)
            _raise_for_exit(_exit_status(process), scratch, task)
        finally:
            _kill_group(process)


def _start(task: RenderTask, scratch: Path) -> subprocess.Popen[bytes]:
    with (scratch / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            child_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=scratch,
            env=child_environment(scratch),
            start_new_session=True,
        )
    assert process.stdin is not None
    # A child that is already dead is noticed where its output is read.
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(encode_task(task, parent=os.getpid()))
    return process


def _lines(stream: IO[bytes], progress: _Progress) -> Iterator[bytes]:
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while chunk := _read(stream, selector, progress):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                raise RenderFailed("render_crashed", "The renderer sent an endless line.")
            yield from lines


def _read(stream: IO[bytes], selector: selectors.BaseSelector, progress: _Progress) -> bytes:
    started = time.monotonic()
    is_ready = selector.select(progress.patience())
    progress.waited += time.monotonic() - started
    if not is_ready:
        raise progress.timeout()
    return os.read(stream.fileno(), _CHUNK_BYTES)


def _exit_status(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(START_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise RenderFailed("render_crashed", "The renderer did not end after its last page.") from (
            error
        )


def _decoded(line: bytes, workdir: Path) -> Item:
    try:
        return decode_item(line, workdir)
    except ValueError as error:
        raise RenderFailed("render_crashed", "The renderer sent what is not a page.") from error


def _raise_for_exit(status: int, scratch: Path, task: RenderTask) -> None:
    """Nothing for a child that ended by itself, else why it died."""
    if status == 0:
        return
    if status == -signal.SIGXCPU:
        raise RenderFailed(
            "render_timeout",
            f"Rendering took more than the limit of {task.limits.cpu_seconds} seconds of CPU time.",
        )
    logger.warning("render child ended with %d: %s", status, _tail(scratch / "stderr"))
    # SIGKILL is not ours here: the kernel short of memory or an operator, neither lies in the file.
    raise RenderFailed(
        "render_crashed",
        "The renderer ended unexpectedly on this file. Open it and save it anew.",
        retryable=status == -signal.SIGKILL,
    )


def _tail(log: Path, size: int = 2_000) -> str:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - size))
        return stream.read().decode(errors="replace")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
