"""What is embedded of a page: its units. Knows no vectors and no indexes."""

from dataclasses import dataclass

from searchapp import engine, storage
from searchapp.models import Page

_MAX_WINDOWS = 200


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to embed of a page."""

    page: Page
    lane: str
    position: int
    parts: tuple[engine.Part, ...]


def page_units(page: Page, spec: engine.ModelSpec) -> list[Unit]:
    """What is embedded of a page: its picture where that model sees, and windows of its text.

    The title is no part of the windows: as a prefix it cost 0.03 nDCG@10 (docs/experiments.md); the
    words of a search look at it. A page without text is embedded by its title, unless its picture
    is: a title that all pages of a document share tells them apart no better.
    """
    document, lanes = page.document, spec.lanes
    units = []
    if "image" in lanes and page.image:
        picture = engine.ImagePart(storage.file_read(page.image), text=page.text)
        units.append(Unit(page, "image", 0, (picture,)))
    if "text" in lanes:
        body = "\n".join(part for part in (page.text, page.notes) if part.strip())
        texts = engine.windows(body, spec) or ([] if units else [document.title])
        units += [
            Unit(page, "text", position, (engine.TextPart(text),))
            for position, text in enumerate(texts[:_MAX_WINDOWS])
        ]
    return units
