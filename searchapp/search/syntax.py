"""Websearch syntax: "what must stand there" and -what must not. Knows no vectors and no ranking.

    "quoted phrase"    the page must hold it: text, notes, title or file name
    -word  -"phrase"   the page must not hold it
    everything else    is looked for by meaning and by words, `or` and `and` too

A phrase is found as it is written: letter case is no matter, and a space stands for any signs
between two words, but words are not stemmed and accents count. An excluded word is excluded in
all its forms, like a word that is looked for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from searchapp.errors import InvalidInput
from searchapp.models.lexical import CJK, CONFIG, plain_words
from searchapp.search.types import EXACT_PAGES

MAX_TERMS = 20
MAX_TERM_CHARS = 500

_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"') | {"\x00": " "})
# A quote after a letter or digit is no opening one: 5" is five inches. CJK has no spaces.
_TERM = re.compile(
    rf'(?<!\S)-"(?P<out>[^"]*)"|(?:(?<![^\W_])|(?<=[{CJK}]))"(?P<phrase>[^"]*)"'
    r"|(?<!\S)-(?P<word>[^\W_][^\s\"]*)"
)
_APOSTROPHES, _HYPHENS = "'’‘ʼ", "-‐‑–−"
_FIELDS = ("held.text", "held.notes", "named.title", "named.filename")


@dataclass(frozen=True, slots=True)
class Term:
    """What must, or must not, stand on a page. is_exact: as written, not in any form."""

    text: str
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Wording:
    """A query's text taken apart.

    plain: what is embedded and ranked by its words; a phrase's words without the quotes, too.
    phrases: must stand on the page. excluded: must not.
    """

    plain: str
    phrases: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()


def wording(text: str, *, is_all: bool = True) -> Wording:
    """Take a query's text apart. is_all: nothing else, like a picture, is asked.

    Raises InvalidInput (field query): empty_query for exclusions alone, query_too_long for more
    than MAX_TERMS phrases and exclusions or one of more than MAX_TERM_CHARS characters.
    """
    text = text.translate(_QUOTES)
    phrases, excluded, plain, end = list[Term](), list[Term](), list[str](), 0
    for match in _TERM.finditer(text):
        kind = match.lastgroup or ""
        term = _term(match[kind].strip(), kind)
        plain += [text[end : match.start()], f" {term.text} " if kind == "phrase" else " "]
        end = match.end()
        if _is_word(term.text):
            (phrases if kind == "phrase" else excluded).append(term)
    plain.append(text[end:])
    found = Wording(
        " ".join("".join(plain).split()),
        tuple(dict.fromkeys(phrases)),
        tuple(dict.fromkeys(excluded)),
    )
    _check(found, is_all)
    return found


def _term(text: str, kind: str) -> Term:
    # AB-1234 is several words to the index: excluded are pages with it, not with its parts.
    return Term(text, is_exact=kind != "word" or len(plain_words(text)) > 1)


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _check(found: Wording, is_all: bool) -> None:
    terms = (*found.phrases, *found.excluded)
    if is_all and found.excluded and not _is_word(found.plain):
        raise InvalidInput(
            "empty_query", "The query only excludes: say what to look for too.", field="query"
        )
    if len(terms) > MAX_TERMS:
        raise InvalidInput(
            "query_too_long",
            f"At most {MAX_TERMS} quoted phrases and excluded words: leave quotes out.",
            field="query",
        )
    if any(len(term.text) > MAX_TERM_CHARS for term in terms):
        raise InvalidInput(
            "query_too_long",
            f"A quoted phrase has at most {MAX_TERM_CHARS} characters.",
            field="query",
        )


def condition(found: Wording) -> tuple[str, dict[str, Any]]:
    """What must hold of `page` as SQL with named parameters (words_...); "" for nothing.

    Raises InvalidInput (common_phrase, field query) for a phrase that no word index can look up,
    like "to be", where there are more pages than can be read through.
    """
    terms = (*found.phrases, *found.excluded)
    if not terms:
        return "", {}
    clauses, parameters = list[str](), dict[str, Any]()
    for number, (term, words) in enumerate(zip(terms, _lookups(terms), strict=True)):
        name = f"words_{number}"
        clauses.append(_clause(term, name, words, is_held=number < len(found.phrases)))
        parameters |= {name: words, f"{name}_text": _pattern(term.text)}
    return " AND ".join(clauses), parameters


def _clause(term: Term, name: str, words: str, *, is_held: bool) -> str:
    """Pages that (do not) hold the term; a subselect, so that the word index finds them once."""
    tests = [f"held.search @@ %({name})s::tsquery"] if words else []
    if term.is_exact or not words:
        tests.append(f"({' OR '.join(f'{field} ~* %({name}_text)s' for field in _FIELDS)})")
    return (
        f"page.id {'IN' if is_held else 'NOT IN'} (SELECT held.id "  # noqa: S608  (texts are parameters)
        "FROM searchapp_page held "
        "JOIN searchapp_document named ON named.id = held.document_id "
        f"WHERE {' AND '.join(tests)})"
    )


def _lookups(terms: Sequence[Term]) -> list[str]:
    """The words of each term as a tsquery; a page that holds the term has them all. Empty for a
    term of stop words and one of a single CJK sign: the index has none of these."""
    texts = [" ".join(plain_words(term.text)) for term in terms]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT plainto_tsquery(%s, term)::text "
            "FROM unnest(%s::text[]) WITH ORDINALITY AS asked (term, place) ORDER BY place",
            [CONFIG, texts],
        )
        lookups = [row[0] for row in cursor.fetchall()]
        if not all(lookups):
            _reading_check(cursor, terms[lookups.index("")])
    return lookups


def _reading_check(cursor: Any, term: Term) -> None:
    cursor.execute(
        "SELECT count(*) FROM (SELECT FROM searchapp_page LIMIT %s) AS page", [EXACT_PAGES + 1]
    )
    if cursor.fetchone()[0] > EXACT_PAGES:
        raise InvalidInput(
            "common_phrase",
            f"'{term.text}' has only words that stand on nearly every page: add one that does not.",
            field="query",
        )


def _pattern(text: str) -> str:
    """A regular expression of Postgres for the text as it is written, and not inside words."""
    signs = re.split(r"(\s+)", text)
    body = "".join("[^[:alnum:]]+" if sign.isspace() else _literal(sign) for sign in signs)
    return "".join([_edge(text[0], "^"), body, _edge(text[-1], "$")])


def _edge(sign: str, end: str) -> str:
    is_inside_words = sign.isalnum() and not re.match(f"[{CJK}]", sign)
    return f"({end}|[^[:alnum:]]|[{CJK}])" if is_inside_words else ""


def _literal(text: str) -> str:
    return "".join(map(_sign, text))


def _sign(sign: str) -> str:
    for alike in (_APOSTROPHES, _HYPHENS):
        if sign in alike:
            return f"[{alike}]"
    return sign if sign.isalnum() else f"[{sign}]" if sign not in "^\\]" else f"\\{sign}"
