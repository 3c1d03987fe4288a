"""What passes between the stages of a search and out of it: frozen dataclasses."""

from dataclasses import dataclass, field

from searchapp.models import Page


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: rights and filters as ids. None means unbounded.

    documents: ids allowed by the document filters, or None.
    """

    collections: tuple[int, ...] | None
    documents: tuple[int, ...] | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing can match."""
        return self.collections == () or self.documents == ()


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
class LexicalHit:
    """A page found by its words: the share (0..1) of the query's idf mass that it holds."""

    page_id: int
    share: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A page after fusion. `reasons` says what each lane contributed."""

    page_id: int
    score: float
    reasons: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """One page in an answer. `also`: numbers of other pages of its document that matched."""

    rank: int
    score: float
    page: Page
    excerpt: str
    reasons: dict[str, object]
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search returns."""

    hits: tuple[Hit, ...]
    stages: tuple[Stage, ...]
    index: dict[str, object]
    took_ms: float
