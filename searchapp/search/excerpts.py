"""A short piece of a page's text around the query's words. Plain text; the edge escapes it."""

import re

_WORD = re.compile(r"\w{3,}")
LENGTH = 240


def excerpt_get(text: str, query: str, length: int = LENGTH) -> str:
    """At most `length` characters of `text`, where most of the query's words stand together."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    begin = _densest(text, _places(text, query), length)
    begin = text.rfind(" ", 0, begin) + 1 if begin else 0
    piece = text[begin : begin + length]
    if begin + length < len(text):
        piece = piece[: piece.rfind(" ")] if " " in piece else piece
        piece += " …"
    return ("… " if begin else "") + piece


def _places(text: str, query: str) -> list[int]:
    lowered = text.lower()
    places = []
    for word in {word.lower() for word in _WORD.findall(query)}:
        stem = word[: max(4, len(word) - 2)]
        places += [match.start() for match in re.finditer(re.escape(stem), lowered)][:20]
    return sorted(places)


def _densest(text: str, places: list[int], length: int) -> int:
    best, begin = 0, 0
    for place in places:
        start = max(0, place - length // 4)
        count = sum(start <= other < start + length for other in places)
        if count > best:
            best, begin = count, start
    return min(begin, max(0, len(text) - length))
