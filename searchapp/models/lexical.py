"""Words for Postgres full text: what its parser would lose is spelled out before it sees the text.

Both sides, pages and queries, pass through `lexical_text`, so they always agree.
"""

import re
from typing import Any

from django.contrib.postgres.search import SearchVector
from django.db.models import Value

# Of one field; what a person or a page says beyond is looked for by meaning alone.
MAX_CHARS = 100_000
# A tsvector may not exceed 1 MB. It holds up to four bytes for a byte of text (short URLs, which
# Postgres stores whole and in parts), so all fields together stay below a quarter.
MAX_BYTES = 240_000
CONFIG = "english"
_CJK_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
# Possessive: a page full of `a-a-a-` must not be read again from every letter.
_JOINED = re.compile(r"\b\w++(?:[./-]\w++)+")


def _bigrams(match: re.Match[str]) -> str:
    run = match.group()
    pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return " " + " ".join(pairs) + " "


def _is_number(word: str) -> bool:
    """Whether it looks like a part number: letters and digits."""
    return any(map(str.isdigit, word)) and any(map(str.isalpha, word))


def lexical_text(text: str) -> str:
    """`text` without NUL, clipped; runs of CJK as bigrams; `AB-1234` also as `ab1234`."""
    text = text.replace("\x00", " ")[:MAX_CHARS]
    joined = {re.sub(r"[./-]", "", word) for word in _JOINED.findall(text) if _is_number(word)}
    return _CJK_RUN.sub(_bigrams, text) + (" " + " ".join(sorted(joined)) if joined else "")


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


def lexical_words(text: str) -> list[str]:
    """The distinct words of a query, in order, as `page_search_vector` would see them."""
    cleaned = "".join(char if char.isalnum() else " " for char in lexical_text(text).lower())
    return list(dict.fromkeys(cleaned.split()))
