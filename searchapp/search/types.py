"""What passes between the stages of a search and out of it: frozen dataclasses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from searchapp.models import Page

# Pages that pass a filter and are few enough to be compared one by one.
EXACT_PAGES = 50_000

Band = Literal["strong", "likely", "weak"]


@dataclass(frozen=True, slots=True)
class PageFilter:
    """The pages that match the filters, as a subselect of their ids.

    sql: `SELECT page.id FROM searchapp_page page ...` with named parameters, without collections.
    count: how many match within the collections, or None when more than EXACT_PAGES do.
    """

    sql: str
    parameters: Mapping[str, Any]
    count: int | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: rights and filters. None means unbounded.

    collections: ids of those that may be searched. pages: what else must hold of a page.
    """

    collections: tuple[int, ...] | None
    pages: PageFilter | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing can match."""
        return self.collections == () or (self.pages is not None and self.pages.count == 0)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage's count and time, as shown to people."""

    name: str
    count: int
    ms: float


@dataclass(frozen=True, slots=True)
class LaneHit:
    """A page found in one lane: its best unit's cosine (-1..1) and Hamming distance."""

    page_id: int
    score: float
    distance: int
    position: int


@dataclass(frozen=True, slots=True)
class LaneAnswer:
    """What the vectors say: every candidate page of any lane, by lane, best first.

    hits: in each lane all candidate pages that have units there, so that fusing misses no score.
    candidates: units reranked by lane. method: how the prefilter looked, "hnsw" or "exact".
    """

    hits: Mapping[str, Sequence[LaneHit]]
    candidates: Mapping[str, int]
    method: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the best cosines lie of queries that nothing answers, in one lane."""

    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class Background:
    """What queries that nothing answers find at best in an index, by lane."""

    lanes: Mapping[str, Scale]


@dataclass(frozen=True, slots=True)
class PictureHit:
    """A page that shows the query's picture: confidence 0..1 and matched points that agree."""

    page_id: int
    score: float
    inliers: int


@dataclass(frozen=True, slots=True)
class LexicalHit:
    """A page found by its words: the share (0..1) of the query's idf mass that it holds.

    density: how often it holds them, 0.5 to 1. rarity (0..1): how much of the query one word it
    holds makes up, times how rare that is: 1 for a query that is a word of one page. weight (0..1):
    of these words among all that is asked.
    """

    page_id: int
    share: float
    words: tuple[str, ...] = ()
    density: float = 1.0
    rarity: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """What bands and weights hang on, of a query.

    picture_weight: the pictures' share (0..1). is_quoted: a phrase is required, so every page holds
    it. is_telling: it asks something; stop words alone do not.
    """

    picture_weight: float = 1.0
    is_quoted: bool = False
    is_telling: bool = True


@dataclass(frozen=True, slots=True)
class Ranked:
    """A page after fusion. `reasons` says what each lane contributed."""

    page_id: int
    score: float
    reasons: dict[str, object] = field(default_factory=dict)
    band: Band = "likely"


@dataclass(frozen=True, slots=True)
class Hit:
    """One page in an answer. `also`: numbers of other pages of its document that matched."""

    rank: int
    score: float
    page: Page
    excerpt: str
    reasons: dict[str, object]
    also: tuple[int, ...] = ()
    band: Band = "likely"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search returns. facets: by filter, counts of the values among the pages that fit.

    nothing: the sentence for no hits.
    """

    hits: tuple[Hit, ...]
    stages: tuple[Stage, ...]
    index: dict[str, object]
    took_ms: float
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    nothing: str = "No page that you may see matches the query."

    @property
    def is_answered(self) -> bool:
        """Whether any hit is more than a weak one."""
        return any(hit.band != "weak" for hit in self.hits)

    @property
    def message(self) -> str:
        """A sentence for an answer that is none; "" otherwise."""
        if not self.hits:
            return self.nothing
        return "" if self.is_answered else "Nothing fits well; these pages only come nearest."
