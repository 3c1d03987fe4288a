"""Pages that show a picture, whatever model embeds: looked up by words, compared point by point.

A picture's words (see embedding_engine/keypoints.py) name the pages that share some, the rarer the
more they count; the best of these are compared in full. Both within rights and filters.
"""

from collections.abc import Sequence
from typing import Any

from searchapp import engine
from searchapp.search.stages.statement import Statement, statement_run
from searchapp.search.types import PictureHit, Scope

COMPARED = 30
"""Pages that are compared with a picture: the right one was among them for 97 of 100 crops."""
# Pages looked at of one word: what so many share tells little apart, and would cost most.
_PAGES_A_WORD = 200

_CANDIDATES = """
WITH shared AS MATERIALIZED (
    SELECT found.page_id, count(*) OVER (PARTITION BY asked.word) AS pages
    FROM unnest(%(words)s::int[]) AS asked (word) CROSS JOIN LATERAL (
        SELECT page_id FROM searchapp_pagekeypoints AS picture
        WHERE picture.words @> ARRAY[asked.word] {where}
        LIMIT %(pages_a_word)s
    ) AS found
), voted AS (
    SELECT page_id, sum(ln(1 + %(pages_a_word)s::float8 / pages)) AS votes
    FROM shared GROUP BY page_id ORDER BY votes DESC, page_id LIMIT %(compared)s
)
SELECT picture.page_id, picture.points
FROM voted JOIN searchapp_pagekeypoints AS picture ON picture.page_id = voted.page_id
JOIN searchapp_page AS page ON page.id = voted.page_id AND page.step = 'done'
"""

_PASSES = """ AND (
    SELECT true FROM ({pages}) AS matching (id) WHERE matching.id = picture.page_id LIMIT 1
)"""


def pictures_search(pictures: Sequence[bytes], scope: Scope, *, pages: int) -> list[PictureHit]:
    """At most `pages` pages that show one of the pictures, best first.

    A page's score is how sure it is that it shows the picture at all, times its points by those of
    the page that shows most of it: twins of one template stand behind the page that was cut.
    Raises as `engine.query_keypoints`, and Unavailable `search_timeout`.
    """
    if scope.is_empty:
        return []
    best: dict[int, PictureHit] = {}
    for picture in dict.fromkeys(pictures):
        for hit in _shown(engine.query_keypoints(picture), scope):
            if hit.page_id not in best or hit.score > best[hit.page_id].score:
                best[hit.page_id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.page_id))[:pages]


def _shown(query: engine.QueryKeypoints, scope: Scope) -> list[PictureHit]:
    """The pages that show more of the picture than chance gives."""
    compared = [
        (page_id, engine.likeness(query.points, engine.Keypoints.from_bytes(points)))
        for page_id, points in _candidates(query.words, scope)
    ]
    most = max((likeness.inliers for _, likeness in compared), default=0)
    return [
        PictureHit(page_id, round(likeness.score * likeness.inliers / most, 4), likeness.inliers)
        for page_id, likeness in compared
        if likeness.score > 0
    ]


def _candidates(words: Sequence[int], scope: Scope) -> list[tuple[int, bytes]]:
    """Ids and points of the COMPARED pages in scope that share most words, rare ones above all."""
    where, bounds = _where(scope)
    parameters = bounds | {
        "words": list(words),
        "pages_a_word": _PAGES_A_WORD,
        "compared": COMPARED,
    }
    # A word is on few pages of many, and the planner knows neither: a scan would unpack every row.
    rows = statement_run(
        Statement({"enable_seqscan": "off"}, _CANDIDATES.format(where=where), parameters)
    )
    return [(page_id, bytes(points)) for page_id, points in rows]


def _where(scope: Scope) -> tuple[str, dict[str, Any]]:
    clauses, bounds = "", dict[str, Any]()
    if scope.collections is not None:
        clauses += " AND picture.collection_id = ANY(%(collections)s)"
        bounds["collections"] = list(scope.collections)
    if scope.pages is not None:
        clauses += _PASSES.format(pages=scope.pages.sql)
        bounds |= scope.pages.parameters
    return clauses, bounds
