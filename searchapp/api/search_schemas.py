"""What a search takes and gives over HTTP; conversions to queries and from answers."""

import json
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from searchapp.api.schemas import PageRef, StrictSchema
from searchapp.search.query import Exclusions, Filters, Query, metadata_from
from searchapp.search.types import Answer, Hit


class ExclusionsIn(StrictSchema):
    """What hits must not be; several values: none of them."""

    collections: list[str] = []
    documents: list[int] = []
    types: list[str] = []
    tags: list[str] = []
    languages: list[str] = []

    def to_exclusions(self) -> Exclusions:
        """As the search takes them."""
        return Exclusions(**{name: tuple(values) for name, values in self})


def _values(given: object) -> tuple[str, ...]:
    """As texts, a number or truth as JSON spells it; `scope` finds it in either form."""
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str | int | float) for value in values):
        raise PydanticCustomError("values", "A value is a text or a number, or a list of such.")
    return tuple(value if isinstance(value, str) else json.dumps(value) for value in values)


_ONE = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
_SCHEMA = {"anyOf": [*_ONE["anyOf"], {"type": "array", "items": _ONE}]}
Values = Annotated[tuple[str, ...], BeforeValidator(_values), WithJsonSchema(_SCHEMA)]


class FiltersIn(StrictSchema):
    """What hits must match; several values of one filter: any of them; all filters together.

    `languages`: ISO 639-1. Days and page numbers: both ends included. `metadata`: key to values.
    """

    collections: list[str] = []
    documents: list[int] = []
    types: list[str] = []
    tags: list[str] = []
    languages: list[str] = []
    uploaded_from: date | None = None
    uploaded_to: date | None = None
    page_from: int | None = None
    page_to: int | None = None
    metadata: dict[str, Values] = {}
    without: ExclusionsIn = Field(default_factory=ExclusionsIn)

    def to_filters(self) -> Filters:
        """As the search takes them."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self
        }
        return Filters(**given | {"without": self.without.to_exclusions()})


class QueryContent(StrictSchema):
    """Parts as in Embed v2: text and image, interleaved; or `page` and `box`, a part of a page."""

    content: list[dict[str, Any]]


class SearchIn(StrictSchema):
    """One search; `oversampling` is candidates of the binary prefilter per wanted hit.

    `image_weight`: the pictures' share (0 to 1) beside words. `like`, `unlike`: ids of pages.
    """

    query: str | QueryContent = ""
    filters: FiltersIn = Field(default_factory=FiltersIn)
    limit: int = 10
    oversampling: int = 4
    group: bool = False
    sort: str = "relevance"
    image_weight: float | None = None
    like: list[int] = []
    unlike: list[int] = []
    facets: bool = False


class SearchBounds(StrictSchema):
    """Bounds of a search in an address. Lists: the parameter several times.

    `metadata`: `key:value`.
    """

    collection: list[str] = []
    document: list[int] = []
    type: list[str] = []
    tag: list[str] = []
    language: list[str] = []
    uploaded_from: date | None = None
    uploaded_to: date | None = None
    page_from: int | None = None
    page_to: int | None = None
    metadata: list[str] = []
    without_collection: list[str] = []
    without_document: list[int] = []
    without_type: list[str] = []
    without_tag: list[str] = []
    without_language: list[str] = []
    limit: int = 10
    oversampling: int = 4
    group: bool = False
    sort: str = "relevance"
    facets: bool = False

    def to_query(self, **asked: Any) -> Query:
        """The query of these bounds. Raises InvalidInput for metadata without a key."""
        filters = Filters(
            uploaded_from=self.uploaded_from,
            uploaded_to=self.uploaded_to,
            page_from=self.page_from,
            page_to=self.page_to,
            metadata=metadata_from(self.metadata),
            without=Exclusions(**self._values("without_")),
            **self._values(""),
        )
        bounds = {n: getattr(self, n) for n in ("limit", "oversampling", "group", "sort", "facets")}
        return Query(filters=filters, **bounds, **asked)

    def _values(self, prefix: str) -> dict[str, Any]:
        names = ("collection", "document", "type", "tag", "language")
        return {f"{name}s": tuple(getattr(self, prefix + name)) for name in names}


class SearchParameters(SearchBounds):
    """A search in an address: words, or pages to be like."""

    q: str = ""
    like: list[int] = []
    unlike: list[int] = []


class HitOut(BaseModel):
    """One page found. `band`: strong, likely or weak. `also`: other matching pages of its document
    when grouped."""

    rank: int
    score: float
    band: str
    reasons: dict[str, Any]
    page: PageRef
    also: list[int]

    @classmethod
    def from_hit(cls, hit: Hit) -> "HitOut":
        """From a hit of an answer."""
        return cls(
            rank=hit.rank,
            score=round(hit.score, 4),
            band=hit.band,
            reasons=hit.reasons,
            page=PageRef.from_row(hit.page, hit.excerpt),
            also=list(hit.also),
        )


class StageOut(BaseModel):
    """One stage of the search: how many it passed on and how long it took."""

    name: str
    count: int
    ms: float


class SearchOut(BaseModel):
    """What a search returns. `message` says so when nothing fits well; `facets` counts the pages
    that fit, not only those shown."""

    hits: list[HitOut]
    is_answered: bool
    message: str
    facets: dict[str, dict[str, int]]
    stages: list[StageOut]
    index: dict[str, Any]
    took_ms: float

    @classmethod
    def from_answer(cls, answer: Answer) -> "SearchOut":
        """From an answer of `search_pages`."""
        return cls(
            hits=[HitOut.from_hit(hit) for hit in answer.hits],
            is_answered=answer.is_answered,
            message=answer.message,
            facets={name: dict(counts) for name, counts in answer.facets.items()},
            stages=[StageOut(name=s.name, count=s.count, ms=s.ms) for s in answer.stages],
            index=answer.index,
            took_ms=answer.took_ms,
        )
