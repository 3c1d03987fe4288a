"""Words for Postgres full text: what its parser would lose is spelled out before it sees the text.

Both sides, pages and queries, pass through `lexical_text`, so they always agree.
"""

import re
from typing import Any

from django.contrib.postgres.search import SearchVector
from django.db.models import Value

# A tsvector may not exceed 1 MB; 100,000 characters a field stays below it in every script.
MAX_CHARS = 100_000
CONFIG = "english"
_CJK_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_PART_NUMBER = re.compile(r"\b(?=[\w./-]*\d)(?=[\w./-]*[^\W\d_])\w+(?:[./-]\w+)+\b")


def _bigrams(match: re.Match[str]) -> str:
    run = match.group()
    pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return " " + " ".join(pairs) + " "


def lexical_text(text: str) -> str:
    """`text` without NUL, clipped; runs of CJK as bigrams; `AB-1234` also as `ab1234`."""
    text = text.replace("\x00", " ")[:MAX_CHARS]
    joined = {re.sub(r"[./-]", "", number) for number in _PART_NUMBER.findall(text)}
    return _CJK_RUN.sub(_bigrams, text) + (" " + " ".join(sorted(joined)) if joined else "")


def page_search_vector(*, title: str, filename: str, text: str, notes: str) -> Any:
    """The tsvector of a page: names weigh A, its text B, its notes C; stemmed, stop words out."""
    names = f"{title} {filename} {filename.rsplit('.', 1)[0]}"
    vector: Any = SearchVector(Value(lexical_text(names)), weight="A", config=CONFIG)
    for value, weight in ((text, "B"), (notes, "C")):
        if value:
            vector += SearchVector(Value(lexical_text(value)), weight=weight, config=CONFIG)
    return vector


def lexical_words(text: str) -> list[str]:
    """The distinct words of a query, in order, as `page_search_vector` would see them."""
    cleaned = "".join(char if char.isalnum() else " " for char in lexical_text(text).lower())
    return list(dict.fromkeys(cleaned.split()))
