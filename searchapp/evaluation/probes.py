"""What the recall of a corpus is measured with: queries taken from the corpus itself.

Judged queries that people saved come first, for up to half of all. The rest are fragments: some
words in a row from a random page, embedded as a query. Each has an answer in the corpus, as what
people ask should; questions in other words than the page's are harder than these. Where the engine
is away or pages bear no text, a stored vector is turned by a random angle instead: such a probe
says less about what people ask. The figures name how many there were of each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from django.db import connection
from django.db.models import F, Func, Value

from searchapp import engine
from searchapp.engine import FloatArray
from searchapp.errors import SearchappError, Unavailable
from searchapp.evaluation.exact import vectors_read
from searchapp.evaluation.saved import saved_questions
from searchapp.models import Index, Page

JUDGED, FRAGMENT, TURNED = "judged", "fragment", "turned"
# Of a turned vector with the stored one: where a page's cosine with a good query lies.
TURNED_COSINE = 0.8
_FRAGMENT_WORDS = (4, 12)


@dataclass(frozen=True, slots=True)
class Probe:
    """One query vector (D,), unit length, and where it is from."""

    source: str
    vector: FloatArray


def probes_get(index: Index, count: int, *, seed: int) -> list[Probe]:
    """At most `count`; the same for the same seed and rows."""
    rng = np.random.default_rng(seed)
    probes = _embedded(index, JUDGED, (q.parts for q in saved_questions()), count // 2)
    texts = _fragments(count - len(probes), rng, seed)
    probes += _embedded(index, FRAGMENT, texts, count - len(probes))
    return probes + _turned(index, count - len(probes), rng, seed)


def _embedded(
    index: Index, source: str, asked: Iterable[Sequence[engine.Part]], most: int
) -> list[Probe]:
    """What the engine makes of the queries; fewer, or none, when it is away or refuses one."""
    probes: list[Probe] = []
    space = index.space
    for parts in islice(asked, most):
        try:
            read = engine.read_pictures(parts, space.spec)
            probes.append(Probe(source, engine.embed_query(read, space=space)))
        except Unavailable:
            break
        except SearchappError:
            continue
    return probes


def _fragments(
    count: int, rng: np.random.Generator, seed: int
) -> Iterator[tuple[engine.Part, ...]]:
    """Some words in a row from each of `count` random pages that have as many."""
    shuffled = Func(F("pk"), Value(seed), function="hashint8extended")
    pages = Page.objects.filter(step=Page.Step.DONE).exclude(text="").order_by(shuffled)
    least, most = _FRAGMENT_WORDS
    for text in pages.values_list("text", flat=True)[: 2 * count]:
        words = text.split()
        if len(words) >= least:
            length = int(rng.integers(least, most + 1))
            begin = int(rng.integers(max(1, len(words) - length + 1)))
            yield (engine.TextPart(" ".join(words[begin : begin + length])),)


def _turned(index: Index, count: int, rng: np.random.Generator, seed: int) -> list[Probe]:
    if count <= 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT halfvec_send(vec) FROM searchapp_embedding WHERE index_id = %s"
            " ORDER BY hashint8extended(page_id, %s), lane, position LIMIT %s",
            [index.pk, seed, count],
        )
        sent = [bytes(row[0]) for row in cursor.fetchall()]
    return [
        Probe(TURNED, turn(v, TURNED_COSINE, rng)) for v in (vectors_read(sent) if sent else ())
    ]


def turn(vector: FloatArray, cosine: float, rng: np.random.Generator) -> FloatArray:
    """A unit vector at that cosine with `vector` (D,), in a random direction."""
    unit = vector / np.linalg.norm(vector)
    noise = np.asarray(rng.normal(size=unit.shape), np.float32)
    noise -= float(noise @ unit) * unit
    turned = cosine * unit + np.sqrt(1 - cosine**2) * noise / np.linalg.norm(noise)
    return np.asarray(turned, np.float32)
