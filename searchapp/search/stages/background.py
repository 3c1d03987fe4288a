"""What a query that nothing answers finds at best in an index: the scale that hits are judged by.

Some dozen everyday queries, about as many subjects, are asked of a random sample of the index: of
each the best cosine is kept, also with each other, and their median and spread are the background.
So it is known of any model and corpus, be it of few pages or of pages that are all alike. A query
that is itself like a page (a picture, or pages as examples) is judged by what pages find among
those of other documents. Figures: docs/decisions/0005-fusion.md.

A sample is of the whole index, whoever asks: two numbers a lane come of it, nothing of a page.
"""

import logging
import threading
import time
from dataclasses import astuple, dataclass, replace
from typing import Literal, get_args

import numpy as np
from django.db import DatabaseError, connection
from numpy.typing import NDArray

from searchapp import engine
from searchapp.engine import FloatArray
from searchapp.errors import SearchappError
from searchapp.models import Embedding, Index
from searchapp.models.indexes import index_active
from searchapp.search.types import Background, Scale

logger = logging.getLogger(__name__)

Kind = Literal["words", "page"]

SAMPLE = 500
_FRESH_S = 600.0
# After a failure, and while a starting web process waits for index and engine.
_RETRY_S = 10.0
_START_TRIES = 60
# Of the index's description: what `background_prepare` left there.
_STORED = "background"
# A smaller index is looked at again when it grew or shrank by more than this.
_CHANGED = 0.1
_ASKING_PAGES = 100
_LEAST_TOPS = 8
_LEAST_SPREAD = 0.02
# Rows of the blocks that a sample is drawn from: neighbours in a block are of one document.
_DRAWN_FROM = 40 * SAMPLE
_HEAD_BYTES = 4

EVERYDAY = (
    "annual budget of the city council",
    "how to reset a password",
    "map of railway lines",
    "recipe for vegetable soup",
    "safety instructions for the machine",
    "average temperature per month",
    "definition of a legal term",
    "growth of sales since last year",
    "architecture of the software system",
    "risk factors for heart disease",
    "photo of a bridge at night",
    "list of countries and their capitals",
    "energy consumption of households",
    "table of exam results",
    "results of the survey by age group",
    "warranty and returns",
    "formula for compound interest",
    "opening hours of the museum",
    "voltage and current of a circuit",
    "exchange rate between currencies",
    "soil quality and farming",
    "what causes inflation",
    "training a neural network",
    "minutes of the board meeting",
    "chemical structure of a molecule",
    "traffic accidents by year",
    "floor plan of a medieval castle",
    "price list for spare parts",
    "vaccination rates among children",
    "rules of a card game",
    "names of the committee members",
    "election results by district",
    "measuring the speed of light",
    "tips for a job interview",
    "rental agreement for a flat",
    "birds of the northern forests",
    "history of ancient Rome",
    "letter to a customer",
    "backup of a database",
    "water pipes and valves",
    "shipping costs and delivery times",
    "how to knit a scarf",
    "songs of a famous band",
    "travel guide to an island",
    "repair of a bicycle brake",
    "causes of the first world war",
    "names of the planets",
    "training plan for a marathon",
)

_COUNT = """
SELECT count(*) FROM (
    SELECT 1 FROM searchapp_embedding WHERE index_id = %s AND lane = ANY(%s) LIMIT %s
) AS units
"""

_DRAW = """
SELECT page.document_id, halfvec_send(unit.vec)
FROM (
    SELECT page_id, vec FROM {table} TABLESAMPLE SYSTEM (%(percent)s) REPEATABLE (7)
    WHERE lane = %(lane)s
    ORDER BY hashint8extended(page_id, position), page_id, position LIMIT %(sample)s
) AS unit JOIN searchapp_page AS page ON page.id = unit.page_id
"""


@dataclass(frozen=True, slots=True)
class _Known:
    """A background, how many units there were (at most SAMPLE + 1), until when nobody looks again.

    has_failed: the last making did; it is then an older one, or none.
    """

    background: Background
    units: int
    until: float
    has_failed: bool = False


_Key = tuple[str, int, Kind]
_known: dict[_Key, _Known] = {}
_asked: dict[tuple[str, int], FloatArray] = {}
_making: set[_Key] = set()
_lock = threading.Lock()


def background_get(index: Index, kind: Kind = "words") -> Background:
    """The background of `index` for a query of words or one that is like a page.

    Kept in this process: for ten minutes, of an index smaller than a sample until it changes; at
    first what `background_prepare` left. One search makes it anew; those meanwhile, and all for a
    short time when the engine fails, have the one before, or one without lanes.
    """
    key = _key(index, kind)
    known = _known.get(key) or _stored(index, kind)
    if known and not _is_due(known, index):
        _known[key] = known
        return known.background
    with _lock:
        if key in _making:
            return known.background if known else Background({})
        _making.add(key)
    try:
        _known[key] = _remade(index, kind, known)
    finally:
        _making.discard(key)
    return _known[key].background


def background_prepare(index: Index) -> None:
    """Make both kinds before anybody searches, and leave them with the index's row, where other
    processes find them. Raises as `engine.embed_queries`."""
    _everyday(index.space)  # also where nothing is stored yet
    kept: dict[str, object] = {"units": _units_count(index)}
    for kind in get_args(Kind):
        known = _fresh(index, kind)
        _known[_key(index, kind)] = known
        kept[kind] = {name: astuple(scale) for name, scale in known.background.lanes.items()}
    if index.description:  # rows older than it stay without
        index.description[_STORED] = kept
        Index.objects.filter(pk=index.pk).update(description=index.description)


def background_start() -> None:
    """As a web process starts: prepare the active index in a thread, as soon as it is there."""
    threading.Thread(target=_prepare_active, name="background", daemon=True).start()


def _prepare_active() -> None:
    for _ in range(_START_TRIES):
        try:
            background_prepare(index_active())
        except (SearchappError, DatabaseError) as error:
            logger.debug("the background is not made yet: %s", error)
        else:
            return
        finally:
            connection.close()
        time.sleep(_RETRY_S)


def _key(index: Index, kind: Kind) -> _Key:
    return str(connection.settings_dict["NAME"]), index.pk, kind


def _stored(index: Index, kind: Kind) -> _Known | None:
    kept = index.description.get(_STORED)
    if kept is None:
        return None
    lanes = {lane: Scale(*numbers) for lane, numbers in kept[kind].items()}
    return _Known(Background(lanes), kept["units"], time.monotonic() + _FRESH_S)


def _is_due(known: _Known, index: Index) -> bool:
    if known.has_failed or known.units > SAMPLE:
        return time.monotonic() >= known.until
    return abs(_units_count(index) - known.units) > _CHANGED * known.units


def _remade(index: Index, kind: Kind, known: _Known | None) -> _Known:
    try:
        return _fresh(index, kind)
    except SearchappError as error:
        known = known or _Known(Background({}), 0, 0.0)
        if not known.has_failed:
            logger.warning("searches go on without a new background: %s", error)
        return replace(known, until=time.monotonic() + _RETRY_S, has_failed=True)


def _fresh(index: Index, kind: Kind) -> _Known:
    units = _units_count(index)
    return _Known(_made(index, kind), units, time.monotonic() + _FRESH_S)


def _units_count(index: Index) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [index.pk, list(Embedding.SEARCHED), SAMPLE + 1])
        return int(cursor.fetchone()[0])


def _made(index: Index, kind: Kind) -> Background:
    lanes: dict[str, Scale] = {}
    for lane in map(str, index.space.spec.lanes):
        documents, vectors = _drawn(index, lane)
        if not len(vectors):
            continue
        tops = tops_of_pages(documents, vectors) if kind == "page" else np.empty(0, np.float32)
        if len(tops) < _LEAST_TOPS:
            tops = tops_of_queries(
                _everyday(index.space), vectors, is_text=lane == Embedding.Lane.TEXT
            )
        lanes[lane] = scale_of(tops)
    return Background(lanes)


def _drawn(index: Index, lane: str) -> tuple[NDArray[np.int64], FloatArray]:
    """Document ids (n,) and vectors (n, D) of at most SAMPLE random units of a lane."""
    table = f"searchapp_embedding_{index.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 1) FROM pg_class WHERE relname = %s", [table])
        rows = float(cursor.fetchone()[0])
        percent = min(100.0, 100 * _DRAWN_FROM / rows)
        bounds: dict[str, float | str] = {"percent": percent, "lane": lane, "sample": SAMPLE}
        cursor.execute(_DRAW.format(table=table), bounds)
        found = cursor.fetchall()
    documents = np.array([row[0] for row in found], np.int64)
    halves = [np.frombuffer(row[1], ">f2", offset=_HEAD_BYTES) for row in found]
    vectors = np.array(halves, np.float32).reshape(len(found), index.dimension)
    return documents, vectors


def _everyday(space: engine.VectorSpace) -> FloatArray:
    """(n, D) the everyday queries: a space always has the same."""
    key = (space.spec.identity, space.dimension)
    if key not in _asked:
        asked = [[engine.TextPart(text)] for text in EVERYDAY]
        _asked[key] = engine.embed_queries(asked, space=space)
    return _asked[key]


def tops_of_queries(queries: FloatArray, vectors: FloatArray, *, is_text: bool) -> FloatArray:
    """(n,) the best cosine of each query with a unit or, where units are texts, another query.

    The other queries are texts that answer nothing: with few pages, the best of them says too
    little of what a query may find by chance.
    """
    tops: FloatArray = (queries @ vectors.T).max(axis=1)
    if not is_text:
        return tops
    others = queries @ queries.T
    np.fill_diagonal(others, -2)
    best: FloatArray = np.maximum(tops, others.max(axis=1))
    return best


def tops_of_pages(documents: NDArray[np.int64], vectors: FloatArray) -> FloatArray:
    """(n,) the best cosine of each of the first pages with a unit of another document, if any."""
    asking = slice(0, _ASKING_PAGES)
    cosines = vectors[asking] @ vectors.T
    cosines[documents[asking, None] == documents[None, :]] = -2
    tops: FloatArray = cosines.max(axis=1)
    return tops[tops > -2]


def scale_of(tops: FloatArray) -> Scale:
    """Median, and half of what lies between the 16th and the 84th percentile: of a normal
    distribution its standard deviation, and a query that is answered by chance moves neither."""
    low, middle, high = np.quantile(tops, [0.16, 0.5, 0.84])
    return Scale(float(middle), max(float(high - low) / 2, _LEAST_SPREAD))
