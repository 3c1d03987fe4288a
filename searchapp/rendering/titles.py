"""Titles as files carry them, without what programs put there by themselves. Knows no format."""

import re

MAX_TITLE_CHARS = 300
_PROGRAM = re.compile(r"^Microsoft (?:Office )?(?:Word|PowerPoint|Excel) - ")
_DEFAULTS = frozenset(
    {"powerpoint presentation", "powerpoint-präsentation", "présentation powerpoint", "slide 1"}
    | {"presentación de powerpoint", "presentazione standard di powerpoint", "untitled"}
)


def clean_title(raw: str) -> str:
    """The title on one line, at most MAX_TITLE_CHARS long; "" for a program's own default."""
    printable = "".join(char if char.isprintable() else " " for char in raw)
    title = _PROGRAM.sub("", " ".join(printable.split()))
    return "" if title.lower() in _DEFAULTS else title[:MAX_TITLE_CHARS]
