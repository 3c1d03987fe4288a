"""What is said to people in words: marks in text, names of pages.

Document text is untrusted: whatever leaves here as SafeString was escaped here.
"""

import re
from itertools import islice

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from searchapp.models.lexical import CJK
from searchapp.search.excerpts import MAX_WORDS
from searchapp.search.query import MAX_QUERY_CHARS

_WORD = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
# Words that stand on every page: marking them would hide those that matter.
_COMMON = re.compile(
    "a|about|an|and|any|are|as|at|be|by|can|could|did|do|does|for|from|had|has|have|how|i|if|in|"
    "into|is|it|its|me|my|no|not|of|on|or|our|should|so|some|than|that|the|their|them|then|there|"
    "these|they|this|those|to|us|was|we|were|what|when|where|which|who|why|will|with|you|your"
)

# Inflections of English, and frequent ones of its neighbours.
_ENDINGS = "e?s|e|ed|en|ers?|ings?|e?ly"
_ENDING = re.compile(r"(?<=\w{3})(?:ings?|ed|es|e|s)$")
_SHORT = 3


def query_pattern(query: str) -> re.Pattern[str] | None:
    """What to mark for a query: its first telling words, whole, in all their forms."""
    telling = (word.lower() for word in _WORD.findall(query[:MAX_QUERY_CHARS]))
    found = (word for word in telling if not _COMMON.fullmatch(word) and len(word) > 1)
    words = set(islice(found, MAX_WORDS))
    if not words:
        return None
    alternatives = "|".join(sorted((_all_forms(word) for word in words), key=len, reverse=True))
    return re.compile(alternatives, re.IGNORECASE)


def _all_forms(word: str) -> str:
    """The word's stem with any ending: `charge` is charging too, and `back` is no backlog."""
    if re.match(rf"[{CJK}]", word):
        return re.escape(word)
    if len(word) <= _SHORT or not word.isalpha():
        return rf"\b{re.escape(word)}(?:e?s)?\b"
    stem = _ENDING.sub("", re.sub("(?<=..)ie[sd]$", "y", word))
    stem = re.sub(r"([bdgmnprt])\1$", r"\1", stem)
    # plan, planned; story, stories.
    last = "[yi]" if stem[-1] == "y" else re.escape(stem[-1]) + "{1,2}"
    return rf"\b{re.escape(stem[:-1])}{last}(?:{_ENDINGS})?\b"


def marked(text: str, query: str) -> SafeString:
    """`text` escaped, the words of `query` inside <mark>."""
    pattern = query_pattern(query)
    if pattern is None:
        return format_html("{}", text)
    pieces, end = [], 0
    for match in pattern.finditer(text):
        pieces.append(format_html("{}<mark>{}</mark>", text[end : match.start()], match.group()))
        end = match.end()
    pieces.append(format_html("{}", text[end:]))
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def duration(ms: float) -> str:
    """`87 ms`, `2.4 s`."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def page_word(kind: str) -> str:
    """What people call a page of this kind of document."""
    return {"deck": "slide", "image": "image"}.get(kind, "page")


def alt_text(title: str, number: int, text: str) -> str:
    """The alternative text of a page's picture: where it is from and how its text begins."""
    words = " ".join(text.split())
    beginning = words[:200] + ("…" if len(words) > 200 else "")
    return f"{title}, page {number}" + (f": {beginning}" if beginning else ", without text")
