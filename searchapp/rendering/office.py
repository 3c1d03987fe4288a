"""Decks into pages: LibreOffice makes a PDF, the PDF makes the pages, the source is the witness.

Knows nothing of how PDF pages are drawn. Hidden slides are exported too, so that page numbers are
the slide numbers; what differs from the source becomes a notice.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from searchapp.errors import FileRejected, RenderFailed

from .confinement import end_with_caller
from .deck_source import DeckSource, Slide, read_deck_source
from .office_fallback import can_draw, draw_deck
from .pdf import render_pdf_file
from .titles import clean_title
from .types import RenderedPage, RenderTask, SourceFacts

_PDF_FILTER = "pdf:impress_pdf_Export:" + json.dumps(
    {"ExportHiddenSlides": {"type": "boolean", "value": "true"}}
)
_SECURITY = "/org.openoffice.Office.Common/Security/Scripting"
# No links to elsewhere, no macros: the file comes from a stranger.
_SETTINGS = {"BlockUntrustedRefererLinks": "true", "DisableMacrosExecution": "true"}
# LibreOffice asks to be started again after it has filled a new profile.
_RESTART_STATUS = 81
MAX_FONTS_NAMED = 10
# Free fonts with the same widths: lines break where the author saw them break.
_SAME_WIDTHS = {
    "arial": "liberation sans",
    "calibri": "carlito",
    "cambria": "caladea",
    "courier new": "liberation mono",
    "times new roman": "liberation serif",
}


def render_deck(task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    """Facts, then every slide in order, hidden ones flagged, with speaker notes.

    Raises FileRejected corrupt_file; RenderFailed office_missing, render_timeout, render_crashed.
    """
    program = shutil.which(task.soffice) if task.soffice else None
    with tempfile.TemporaryDirectory() as folder:
        if program is None:
            yield from _without_office(task)
        else:
            yield from _with_office(_Office(Path(program), Path(folder), task), task)


def _without_office(task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    if not can_draw(task.file_type):
        raise RenderFailed(
            "office_missing",
            f"A {task.file_type.label} needs LibreOffice, which is not installed here. Install it "
            "(Debian, Ubuntu: apt install libreoffice-impress) or upload a PDF or .pptx.",
        )
    yield from _with_source(draw_deck(task), read_deck_source(task.source))


def _with_office(office: "_Office", task: RenderTask) -> Iterator[SourceFacts | RenderedPage]:
    source = read_deck_source(task.source) or read_deck_source(office.convert("odp"))
    items = render_pdf_file(office.convert(_PDF_FILTER), task)
    yield from _with_source(items, source)


class _Office:
    """LibreOffice with a profile of its own for one file."""

    def __init__(self, program: Path, folder: Path, task: RenderTask) -> None:
        # The start script leaves a helper process behind when it is killed; the program does not.
        binary = program.resolve().with_name("soffice.bin")
        self._program = binary if binary.is_file() else program
        self._folder = folder
        self._task = task
        # A name of our own: nothing in the file's name can be taken for an option or a template.
        self._deck = folder / f"deck{task.file_type.extension}"
        self._deck.symlink_to(task.source.resolve())
        self._profile = _write_profile(folder / "profile")

    def convert(self, target: str) -> Path:
        """Convert to `pdf:...` or `odp`. Raises FileRejected corrupt_file, RenderFailed."""
        converted = (self._folder / "deck").with_suffix("." + target.partition(":")[0])
        if converted == self._deck:
            return self._deck
        status = self._run(target)
        if not converted.is_file():
            raise self._failure(status)
        return converted

    def _failure(self, status: int) -> FileRejected | RenderFailed:
        """LibreOffice ends normally on a file it cannot load; another status is its own trouble."""
        label = self._task.file_type.label
        advice = "Open it in the program it comes from and save it anew."
        if status == 0:
            return FileRejected("corrupt_file", f"LibreOffice cannot open this {label}. {advice}")
        reason = f"LibreOffice ended with status {status} on this {label}. {advice}"
        return RenderFailed("render_crashed", reason, retryable=True)

    def _run(self, target: str) -> int:
        command = [
            str(self._program),
            f"-env:UserInstallation={self._profile.as_uri()}",
            *("--headless", "--norestore", "--nolockcheck", "--nodefault"),
            *("--convert-to", target, "--outdir", str(self._folder), str(self._deck)),
        ]
        status = self._status(command)
        return self._status(command) if status == _RESTART_STATUS else status

    def _status(self, command: list[str]) -> int:
        seconds = self._task.limits.office_seconds
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
                preexec_fn=end_with_caller,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise RenderFailed(
                "render_timeout",
                f"LibreOffice took longer than the limit of {seconds} seconds. Split the deck.",
                retryable=True,
            ) from error


def _write_profile(profile: Path) -> Path:
    items = "".join(
        f'<item oor:path="{_SECURITY}"><prop oor:name="{name}" oor:op="fuse">'
        f"<value>{value}</value></prop></item>"
        for name, value in _SETTINGS.items()
    )
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<oor:items xmlns:oor="http://openoffice.org/2001/registry">' + items + "</oor:items>"
    )
    return profile


def _with_source(
    items: Iterator[SourceFacts | RenderedPage], source: DeckSource | None
) -> Iterator[SourceFacts | RenderedPage]:
    """Facts and pages completed with what the source says of its slides."""
    slides = dict(enumerate(source.slides, start=1)) if source else {}
    for item in items:
        if isinstance(item, SourceFacts):
            yield _facts(item, source)
        else:
            slide = slides.get(item.number, Slide())
            yield replace(item, hidden=slide.is_hidden, notes=slide.notes)


def _facts(facts: SourceFacts, source: DeckSource | None) -> SourceFacts:
    if source is None:
        notice = (
            "The deck's own list of slides cannot be read: hidden slides and notes are unknown."
        )
        return replace(facts, notices=(*facts.notices, notice))
    notices = list(facts.notices)
    if len(source.slides) != facts.page_count:
        notices.append(
            f"The deck lists {len(source.slides)} slides, but {facts.page_count} were rendered."
        )
    if missing := _missing_fonts(source.fonts):
        names = ", ".join(missing[:MAX_FONTS_NAMED])
        notices.append(f"Fonts that are not installed here were replaced: {names}.")
    return SourceFacts(facts.page_count, clean_title(source.title) or facts.title, tuple(notices))


def _missing_fonts(fonts: frozenset[str]) -> list[str]:
    """Families that fontconfig has neither itself nor in equal widths; none if it cannot say."""
    try:
        listed = subprocess.run(
            ["fc-list", ":", "family"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    installed = {name.strip().lower() for name in listed.stdout.replace("\n", ",").split(",")}
    return sorted(
        name
        for name in fonts
        if not {name.lower(), _SAME_WIDTHS.get(name.lower(), "")} & (installed - {""})
    )
