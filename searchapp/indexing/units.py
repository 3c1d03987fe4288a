"""What is embedded of a page: its units. Knows no vectors and no indexes."""

from dataclasses import dataclass

from searchapp import engine, storage
from searchapp.models import Embedding, Page

_MAX_WINDOWS = 200
_MAX_PASSAGES = 500


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to embed of a page."""

    page: Page
    lane: str
    position: int
    parts: tuple[engine.Part, ...]


def page_units(page: Page, spec: engine.ModelSpec) -> list[Unit]:
    """What is embedded of a page: its picture where that model sees; of its text windows, and
    passages within them.

    The title is no part of them: as a prefix it cost 0.03 nDCG@10 (docs/experiments.md); the words
    of a search look at it. A page without text is embedded by its title, unless its picture is: a
    title that all pages of a document share tells them apart no better.
    """
    units = []
    if "image" in spec.lanes and page.image:
        picture = engine.ImagePart(storage.file_read(page.image), text=page.text)
        units.append(Unit(page, Embedding.Lane.IMAGE, 0, (picture,)))
    if "text" in spec.lanes:
        texts = windows(page, spec) or ([] if units else [page.document.title])
        units += _units(page, Embedding.Lane.TEXT, texts)
        units += _units(page, Embedding.Lane.PASSAGE, passages(page, spec))
    return units


def windows(page: Page, spec: engine.ModelSpec) -> list[str]:
    """Text and notes, one after the other, in pieces as long as the model takes."""
    body = "\n".join(part for part in (page.text, page.notes) if part.strip())
    return engine.windows(body, spec)[:_MAX_WINDOWS]


def passages(page: Page, spec: engine.ModelSpec) -> list[str]:
    """Short pieces, none of which holds both text and notes; none where one would hold all."""
    found = [one for part in (page.text, page.notes) for one in engine.passages(part, spec)]
    return found[:_MAX_PASSAGES] if len(found) > 1 else []


def _units(page: Page, lane: str, texts: list[str]) -> list[Unit]:
    return [
        Unit(page, lane, position, (engine.TextPart(text),)) for position, text in enumerate(texts)
    ]
