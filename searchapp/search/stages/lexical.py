"""Pages by their words: the share of the query's information that a page holds.

Each word weighs its inverse document frequency; a page's share is the weight of the words it holds
by the weight of all, 0..1. Unlike a rank it means the same for every query: 1 says that every word
stands on the page.

What is looked at is bounded, however many pages there are: candidates are all pages with a word
that is rare, and some with several of the common ones, those with most of them first.
"""

from collections.abc import Sequence
from typing import Any

from searchapp.models.lexical import lexical_words
from searchapp.search.stages.frequencies import COUNTED, Word, greatest_idf, telling, words_get
from searchapp.search.stages.statement import Statement, statement_run
from searchapp.search.types import LexicalHit, Scope

MAX_WORDS = 32
# Words on more pages than this carry next to nothing and cost the most to look up.
_COMMON = 0.3
# Of the common words, how many a page must have together to become a candidate, at most.
_TOGETHER = 4
_LEAST_RANKED = 100

# A scalar subselect is asked of each page that the words find; a join might begin elsewhere.
_IN_COLLECTIONS = """ AND (
    SELECT collection_id FROM searchapp_document WHERE id = page.document_id
) = ANY(%(collections)s)"""

_PAGES = """(SELECT page.id, {weight}::float8 AS weight FROM searchapp_page page
WHERE page.search @@ %({name})s::tsquery AND page.step = 'done' {where} LIMIT {limit})"""

# Shares of the best by their candidates' words; `setweight` unpacks a page's words once for all
# tests. `ts_rank` of one word grows with its occurrences towards 1: the sum of 1 / n^2 up to their
# number, by that of all. Half of a word's weight depends on it (docs/experiments.md).
_SHARES = """
WITH best AS MATERIALIZED (
    SELECT page.id, setweight(page.search, 'D') AS search
    FROM (
        SELECT id FROM ({candidates}) AS candidate
        GROUP BY id ORDER BY sum(weight) DESC, id LIMIT {ranked}
    ) AS candidate JOIN searchapp_page page USING (id)
), held AS MATERIALIZED (
    SELECT id, ARRAY[{ranks}] AS ranks FROM best
)
SELECT id, share, density / share, ranks
FROM held CROSS JOIN LATERAL (
    SELECT sum(weight) AS share, sum(weight * (1 + rank) / 2) AS density
    FROM unnest(%(weights)s::float8[], ranks) AS word (weight, rank) WHERE rank IS NOT NULL
) AS found
ORDER BY share DESC, density DESC, id LIMIT {pages}
"""
_RANK = """CASE WHEN search @@ %(word_{n})s::tsquery
    THEN ts_rank('{{1, 1, 1, 1}}', search, %(word_{n})s::tsquery) END"""


def lexical_search(text: str, scope: Scope, *, pages: int) -> list[LexicalHit]:
    """The `pages` pages that hold most of the query's words; none for a query without words.

    Raises Unavailable `search_timeout`.
    """
    asked = lexical_words(text)[:MAX_WORDS]
    if not asked or scope.is_empty:
        return []
    words = words_get(asked, scope.collections)
    mass = sum(word.idf for word in words)
    sought = [word for word in words if 0 < word.pages <= max(10, _COMMON * word.total)]
    if not sought:
        return []
    weights = [word.idf / mass for word in sought]
    rows = statement_run(_statement(sought, weights, scope, pages))
    return [_hit(sought, mass, *row) for row in rows]


def is_telling(text: str) -> bool:
    """Whether any word of the text is looked for; stop words are not."""
    return bool(telling(lexical_words(text)[:MAX_WORDS]))


def _hit(
    words: Sequence[Word],
    mass: float,
    page_id: int,
    share: float,
    density: float,
    ranks: list[float | None],
) -> LexicalHit:
    held = [word for word, rank in zip(words, ranks, strict=True) if rank is not None]
    rarest = max(held, key=lambda word: word.idf)
    rarity = rarest.idf / mass * rarest.idf / greatest_idf(rarest.total)
    return LexicalHit(page_id, share, tuple(word.text for word in held), density, rarity)


def _statement(
    words: Sequence[Word], weights: Sequence[float], scope: Scope, pages: int
) -> Statement:
    ranked = max(_LEAST_RANKED, 2 * pages)
    where, parameters = _bounds(scope)
    candidates, lookups = _candidates(words, weights, where, ranked)
    ranks = ", ".join(_RANK.format(n=n) for n in range(len(words)))
    sql = _SHARES.format(candidates=candidates, ranks=ranks, ranked=ranked, pages=pages)
    parameters |= {f"word_{n}": word.lookup for n, word in enumerate(words)}
    parameters |= {**lookups, "weights": list(weights)}
    return Statement({"enable_seqscan": "off"}, sql, parameters)


def _bounds(scope: Scope) -> tuple[str, dict[str, Any]]:
    where, parameters = "", dict[str, Any]()
    if scope.collections is not None:
        where += _IN_COLLECTIONS
        parameters["collections"] = list(scope.collections)
    if scope.pages is not None:
        where += f" AND page.id IN ({scope.pages.sql})"
        parameters |= scope.pages.parameters
    return where, parameters


def _candidates(
    words: Sequence[Word], weights: Sequence[float], where: str, ranked: int
) -> tuple[str, dict[str, str]]:
    """SQL of the candidates with what they surely hold, and its lookups by parameter name."""
    order = sorted(range(len(words)), key=lambda place: words[place].pages)
    rare = [(place,) for place in order if words[place].pages < COUNTED]
    common = [place for place in order if words[place].pages >= COUNTED][:_TOGETHER]
    together = [tuple(common[:count]) for count in range(len(common), 0, -1)]
    parts: list[str] = []
    lookups: dict[str, str] = {}
    for group in (*rare, *together):
        name = f"group_{len(lookups)}"
        lookups[name] = " & ".join(words[place].lookup for place in group)
        parts.append(
            _PAGES.format(
                name=name,
                weight=sum(weights[place] for place in group),
                where=where,
                limit=COUNTED if len(lookups) <= len(rare) else ranked,
            )
        )
    branches = parts[: len(rare)]
    if together:
        # Those after it are not looked up once enough pages are found.
        steps = " UNION ALL ".join(parts[len(rare) :])
        branches.append(f"(SELECT * FROM ({steps}) AS together LIMIT {ranked})")  # noqa: S608
    return " UNION ALL ".join(branches), lookups
