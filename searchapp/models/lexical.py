"""Words for Postgres full text: what its parser would lose is spelled out before it sees the text.

Both sides, pages and queries, pass through `lexical_text`, so they always agree. Where words begin
and end is decided here, not by Postgres's parser: that reads `42/7` as a path and `-1234` as a
negative number, so a word's lexeme would depend on the signs around it.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.search import SearchVector
from django.db.models import Value

# Of one field; what a person or a page says beyond is looked for by meaning alone.
MAX_CHARS = 100_000
# A tsvector may not exceed 1 MB. It holds up to four bytes for a byte of text (words of two
# letters), so all fields together stay below a quarter.
MAX_BYTES = 240_000
CONFIG = "english"
CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_CJK_RUN = re.compile(f"[{CJK}]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
# Letters that Unicode does not take apart.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})
_SIGNS = re.compile(r"[\x00-/:-@\[-`{-\x7f]+|[^\w\x00-\x7f]")
# Only from where a word begins: one without an end must not be read again from every letter.
_JOINED = re.compile(r"(?<![^\W_])[^\W_]++(?:[./_,'’-][^\W_]++)+")
_JOINTS = re.compile(r"[\W_]+")
_MAX_JOINED = 40
# Shorter ones, like 3.5 and 1/2, would be mistaken for whole numbers.
_MIN_DIGITS = 4


def lexical_text(text: str) -> str:
    """The words of `text` between spaces, folded, then its part numbers again as one word each.

    Folded: lower case, without accents and ligatures. Runs of CJK as bigrams. `AB-1234` is the
    words ab and 1234, and ab1234; `1,234.56` and `1.234,56` are both 123456 as well.
    """
    folded = _folded(text[:MAX_CHARS])
    return " ".join([*_split(folded), *sorted(set(_joined(folded)))])


def lexical_words(text: str) -> list[str]:
    """The distinct words of a query, in order, as `page_search_vector` would see them."""
    return list(dict.fromkeys(lexical_text(text).split()))


def plain_words(text: str) -> list[str]:
    """The words of `text` in order, folded, without joined part numbers: wherever on a page a
    part of its text stands, the page has the words of that part."""
    return _split(_folded(text[:MAX_CHARS]))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", plain).translate(_LETTERS)


def _split(folded: str) -> list[str]:
    return _CJK_RUN.sub(_bigrams, _SIGNS.sub(_space, folded)).split()


def _space(match: re.Match[str]) -> str:
    """A space for a sign; vowel signs of Indic scripts and the like belong to their words."""
    sign = match.group()
    return sign if unicodedata.category(sign[0]).startswith("M") else " "


def _bigrams(match: re.Match[str]) -> str:
    run = match.group()
    pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return " " + " ".join(pairs) + " "


def _joined(folded: str) -> Iterator[str]:
    for match in _JOINED.finditer(folded):
        word = _JOINTS.sub("", match.group())
        if len(word) <= _MAX_JOINED and _is_number(word):
            yield word


def _is_number(word: str) -> bool:
    """Whether it looks like a part number or a long number."""
    digits = sum(map(str.isdigit, word))
    return digits >= _MIN_DIGITS or 0 < digits < len(word)


def page_search_vector(*, title: str, filename: str, text: str, notes: str) -> Any:
    """The tsvector of a page: names weigh A, its text B, its notes C; stemmed, stop words out."""
    names = f"{title} {filename} {filename.rsplit('.', 1)[0]}"
    vector: Any = None
    left = MAX_BYTES
    for value, weight in ((names, "A"), (text, "B"), (notes, "C")):
        words = _clipped(lexical_text(value), left)
        left -= len(words.encode())
        part = SearchVector(Value(words), weight=weight, config=CONFIG)
        vector = part if vector is None else vector + part
    return vector


def _clipped(text: str, size: int) -> str:
    """The whole words of `text` that fit into `size` bytes of UTF-8."""
    encoded = text.encode("utf-8", "ignore")
    if len(encoded) > size:
        encoded = encoded[: encoded.rfind(b" ", 0, size + 1) + 1]
    return encoded.decode()
