"""What is asked: parts, filters, bounds. Checked in `checks`, turned into SQL in `scope`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from searchapp import engine
from searchapp.errors import InvalidInput

Sort = Literal["relevance", "newest", "document"]

MAX_LIMIT = 200
MAX_OVERSAMPLING = 50
MAX_QUERY_CHARS = 10_000
MAX_PARTS = 20
# Each is read and compared, which takes a second or so of the machine.
MAX_PICTURES = 4
MAX_EXAMPLES = 20
MAX_FILTER_VALUES = 200
MAX_METADATA_KEYS = 20
MAX_VALUE_CHARS = 1000


def _languages_lower(values: "Exclusions | Filters") -> None:
    """Codes are the same in any case, as in `EN`."""
    lower = tuple(code.lower() for code in values.languages)
    object.__setattr__(values, "languages", lower)


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What hits must not be. Several values: none of them."""

    collections: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _languages_lower(self)


@dataclass(frozen=True, slots=True)
class Filters:
    """What hits must match; empty means no bound. Several values of one filter: any of them.

    languages: ISO 639-1 codes of the page. uploaded_from, uploaded_to: days of the project's time
    zone, both included. page_from, page_to: page numbers, both included. metadata: key to the
    allowed values; a list in the document's metadata matches by any of its members.
    """

    collections: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    uploaded_from: date | None = None
    uploaded_to: date | None = None
    page_from: int | None = None
    page_to: int | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without: Exclusions = field(default_factory=Exclusions)

    def __post_init__(self) -> None:
        _languages_lower(self)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is bounded below the collections."""
        without = replace(self.without, collections=())
        return replace(self, collections=(), without=without) == Filters()

    @property
    def counted(self) -> tuple[str, ...]:
        """The names of what is set and counted by its values."""
        named = ("collections", "types", "tags", "languages")
        return tuple(name for name in named if getattr(self, name))

    @property
    def narrowing(self) -> tuple[str, ...]:
        """The names of what is set, as a reader of the hits sees them: `tags`, `without.types`."""
        named = {name: getattr(self, name) for name in self.__slots__ if name != "without"}
        named |= {f"without.{n}": getattr(self.without, n) for n in self.without.__slots__}
        return tuple(name for name, value in named.items() if value not in (None, (), {}))


@dataclass(frozen=True, slots=True)
class Query:
    """One search: parts, pages to be like and unlike, or both.

    oversampling: candidates of the binary prefilter per wanted hit. image_weight: the pictures'
    share (0..1) where there are words too; None leaves both to the model, interleaved.
    like, unlike: ids of pages whose kind is wanted more, or less; they are no hits themselves.
    sort: `newest` by upload, `document` by title and page number; both put weak hits last.
    """

    parts: tuple[engine.Part, ...] = ()
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    oversampling: int = 4
    group: bool = False
    sort: Sort = "relevance"
    image_weight: float | None = None
    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()
    facets: bool = False

    @property
    def text(self) -> str:
        """The words of the query, without its pictures."""
        return " ".join(p.text for p in self.parts if isinstance(p, engine.TextPart)).strip()


def text_query(text: str, **bounds: object) -> Query:
    """A query of words alone."""
    return Query(parts=(engine.TextPart(text),), **bounds)  # type: ignore[arg-type]


def metadata_from(pairs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`key:value` pairs as a metadata filter. Raises InvalidInput for one without a key."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        key, colon, value = pair.partition(":")
        if not key or not colon:
            raise InvalidInput(
                "invalid_metadata", "Write metadata as key:value.", field="filters.metadata"
            )
        found[key] = (*found.get(key, ()), value)
    return found
