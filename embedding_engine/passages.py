"""A text in passages: pieces much shorter than a window, that end where a line or sentence does.

Knows no torch. What they are good for was measured: docs/decisions/0005-fusion.md.
"""

from embedding_engine.registry import ModelSpec
from embedding_engine.tokens import Tokens, load_tokenizer, text_between

PASSAGE_TOKENS = 96
_SENTENCE_ENDS = frozenset(".!?;。！？；")


def split_passages(text: str, *, spec: ModelSpec, size: int = PASSAGE_TOKENS) -> list[str]:
    """The text in pieces of at most `size` tokens and about one length; a blank text has none.

    So many as are needed; each ends at the best place near its due end: a line's or sentence's end
    before a word's, then the nearest.
    """
    tokens = load_tokenizer(spec).encode(text)
    pieces, start = [], 0
    while start < len(tokens):
        end = _end(text, tokens, start, size)
        pieces.append(text_between(text, tokens, start, end))
        start = end
    return pieces


def _end(text: str, tokens: Tokens, start: int, size: int) -> int:
    """Where the piece that begins at token `start` ends."""
    left = len(tokens) - start
    if left <= size:
        return len(tokens)
    due = start + -(-left // -(-left // size))
    slack = size // 4
    last = min(len(tokens) - 1, start + size, due + slack)
    places = range(max(start + 1, due - slack), last + 1)
    return max(places, key=lambda place: (_worth(text, tokens, place), -abs(place - due)))


def _worth(text: str, tokens: Tokens, place: int) -> int:
    """How well a piece may end before the token at `place`: 2, 1, or 0 within a word."""
    before, after = tokens.spans[place - 1], tokens.spans[place]
    gap = text[before[1] : after[0]]
    if "\n" in gap or (gap and text[before[0] : before[1]] in _SENTENCE_ENDS):
        return 2
    return int(tokens.words[place] != tokens.words[place - 1])
