"""Pages by their words: the share of the query's information that a page holds.

Each word weighs its inverse document frequency, idf = ln(1 + N / (1 + n)) (Robertson and Sparck
Jones 1976, smoothed); a page's share is the weight of the words it holds by the weight of all,
0..1. Unlike a rank it means the same for every query: 1 says that every word stands on the page.
"""

import math
from typing import Any

from django.db import connection

from searchapp.models.lexical import CONFIG, lexical_words
from searchapp.search.types import LexicalHit, Scope

MAX_WORDS = 32
# Words on more pages than this carry next to nothing and cost the most to look up.
_COMMON = 0.3

# All pages: the planner's count, exact while the table is small and was perhaps never analysed.
_COUNTS = """
SELECT w, (SELECT count(*) FROM searchapp_page WHERE search @@ plainto_tsquery(%(config)s, w)),
    CASE WHEN reltuples < 10000 THEN (SELECT count(*) FROM searchapp_page) ELSE reltuples END
FROM unnest(%(words)s::text[]) AS w, pg_class
WHERE relname = 'searchapp_page' AND numnode(plainto_tsquery(%(config)s, w)) > 0
"""

_SHARES = """
SELECT page.id, sum(word.weight) AS share, array_agg(word.word)
FROM unnest(%(words)s::text[], %(weights)s::float8[]) AS word (word, weight)
JOIN searchapp_page page ON page.search @@ plainto_tsquery(%(config)s, word.word)
{join} WHERE page.step = 'done' {where}
GROUP BY page.id ORDER BY share DESC, page.id LIMIT %(pages)s
"""


def lexical_search(text: str, scope: Scope, *, pages: int) -> list[LexicalHit]:
    """The `pages` pages that hold most of the query's words; none for a query without words."""
    words = lexical_words(text)[:MAX_WORDS]
    if not words or scope.is_empty:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"words": words, "config": CONFIG})
        weights = _weights(cursor.fetchall())
        if not weights:
            return []
        sql, parameters = _shares(weights, scope, pages)
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    return [LexicalHit(row[0], float(row[1]), tuple(row[2])) for row in rows]


def _weights(rows: list[tuple[str, int, float]]) -> dict[str, float]:
    """Each word's part of the query's idf mass; very common words are left out of the look-up."""
    idf = {word: math.log(1 + total / (1 + count)) for word, count, total in rows}
    mass = sum(idf.values()) or 1.0
    return {
        word: idf[word] / mass
        for word, count, total in rows
        if 0 < count <= max(10, _COMMON * total)
    }


def _shares(weights: dict[str, float], scope: Scope, pages: int) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {
        "words": list(weights),
        "weights": list(weights.values()),
        "config": CONFIG,
        "pages": pages,
    }
    join = where = ""
    if scope.collections is not None:
        join = "JOIN searchapp_document document ON document.id = page.document_id"
        where += " AND document.collection_id = ANY(%(collections)s)"
        parameters["collections"] = list(scope.collections)
    if scope.pages is not None:
        where += f" AND page.id IN ({scope.pages.sql})"
        parameters |= scope.pages.parameters
    return _SHARES.format(join=join, where=where), parameters
