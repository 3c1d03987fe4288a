"""A short piece of a page's text around the query's words. Plain text; the edge escapes it."""

import re
from itertools import islice

_WORD = re.compile(r"\w{3,}")
LENGTH = 240
# Of a query, and of one word on a page: more would change the time, not the excerpt.
MAX_WORDS = 32
_MAX_PLACES = 20


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
    """Where the first words of the query stand, in order; each word's first places."""
    lowered = text.lower()
    found = (match.group().lower() for match in _WORD.finditer(query))
    words = dict.fromkeys(islice(found, MAX_WORDS))
    stems = {word[: max(4, len(word) - 2)] for word in words}
    places: list[int] = []
    for stem in stems:
        matches = re.finditer(re.escape(stem), lowered)
        places += [match.start() for match in islice(matches, _MAX_PLACES)]
    return sorted(places)


def _densest(text: str, places: list[int], length: int) -> int:
    """Where the piece begins that holds most places, a quarter before the first of them."""
    best = begin = first = last = 0
    for place in places:
        start = max(0, place - length // 4)
        while first < len(places) and places[first] < start:
            first += 1
        while last < len(places) and places[last] < start + length:
            last += 1
        if last - first > best:
            best, begin = last - first, start
    return min(begin, max(0, len(text) - length))
