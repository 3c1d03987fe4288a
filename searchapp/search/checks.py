"""Whether a query can be asked: every bound in one place for API, web and commands. Reads no rows.

What no page can match by itself (a range that ends before it begins, a language that does not
exist) is refused with the field; what merely matches nothing here is answered by no hits.
"""

from collections.abc import Iterable, Sequence
from typing import get_args

from searchapp import engine
from searchapp.errors import InvalidInput
from searchapp.languages import LANGUAGES
from searchapp.models import Document
from searchapp.models.storable import is_row_id, require_storable
from searchapp.search.query import (
    MAX_EXAMPLES,
    MAX_FILTER_VALUES,
    MAX_LIMIT,
    MAX_METADATA_KEYS,
    MAX_OVERSAMPLING,
    MAX_PARTS,
    MAX_PICTURES,
    MAX_QUERY_CHARS,
    MAX_VALUE_CHARS,
    Exclusions,
    Filters,
    Query,
    Sort,
)

# Page numbers are Postgres integers.
_MAX_NUMBER = 2**31 - 1


def query_check(query: Query) -> None:
    """Raises InvalidInput naming the field that cannot be used."""
    _content_check(query)
    _examples_check(query)
    _between("limit", query.limit, MAX_LIMIT)
    _between("oversampling", query.oversampling, MAX_OVERSAMPLING)
    if query.sort not in get_args(Sort):
        allowed = ", ".join(get_args(Sort))
        raise InvalidInput("unknown_sort", f"sort is one of {allowed}.", field="sort")
    weight = query.image_weight
    if weight is not None and not 0 <= weight <= 1:
        raise InvalidInput("invalid_image_weight", "image_weight is 0 to 1.", field="image_weight")
    filters_check(query.filters)


def _content_check(query: Query) -> None:
    is_blank = all(_is_blank(part) for part in query.parts)
    if is_blank and not query.like:
        raise InvalidInput(
            "empty_query",
            "The query is empty: give words, a picture, or pages to be like.",
            field="query",
        )
    if len(query.parts) > MAX_PARTS:
        raise InvalidInput("query_too_long", f"At most {MAX_PARTS} parts.", field="query")
    if sum(isinstance(part, engine.ImagePart) for part in query.parts) > MAX_PICTURES:
        raise InvalidInput("too_many_pictures", f"At most {MAX_PICTURES} pictures.", field="query")
    if len(query.text) > MAX_QUERY_CHARS:
        raise InvalidInput(
            "query_too_long",
            f"The query is longer than {MAX_QUERY_CHARS} characters.",
            field="query",
        )
    for part in query.parts:
        require_storable(part.text or "", "query")


def _is_blank(part: engine.Part) -> bool:
    """Signs alone ask nothing."""
    return isinstance(part, engine.TextPart) and not any(map(str.isalnum, part.text))


def _examples_check(query: Query) -> None:
    for name, ids in (("like", query.like), ("unlike", query.unlike)):
        _few(ids, name, MAX_EXAMPLES)
        if not all(is_row_id(number) for number in ids):
            raise InvalidInput("unknown_page", "There is no such page.", field=name)
    if set(query.like) & set(query.unlike):
        raise InvalidInput(
            "like_and_unlike", "A page cannot be both wanted and unwanted.", field="unlike"
        )


def filters_check(filters: Filters) -> None:
    """Raises InvalidInput naming the filter that cannot be used."""
    _values_check(filters, "filters")
    _values_check(filters.without, "filters.without")
    _exclusions_check(filters)
    _metadata_check(filters)
    for name in ("page_from", "page_to"):
        number = getattr(filters, name)
        if number is not None and not 1 <= number <= _MAX_NUMBER:
            raise InvalidInput(
                f"invalid_{name}", f"{name} is 1 to {_MAX_NUMBER}.", field=f"filters.{name}"
            )
    _range_check("uploaded", filters.uploaded_from, filters.uploaded_to)
    _range_check("page", filters.page_from, filters.page_to)


def _exclusions_check(filters: Filters) -> None:
    for name in ("collections", "documents", "types", "tags", "languages"):
        both = set(getattr(filters, name)) & set(getattr(filters.without, name))
        if both:
            raise InvalidInput(
                "impossible_filter",
                f"'{str(min(both))[:40]}' is both wanted and left out: nothing can match.",
                field=f"filters.without.{name}",
            )


def _range_check(name: str, first: object, last: object) -> None:
    if first is not None and last is not None and first > last:  # type: ignore[operator]
        raise InvalidInput(
            "impossible_range",
            f"{name}_to lies before {name}_from: nothing can match.",
            field=f"filters.{name}_to",
        )


def _values_check(values: Filters | Exclusions, field: str) -> None:
    for name in ("collections", "documents", "types", "tags", "languages"):
        _few(getattr(values, name), f"{field}.{name}", MAX_FILTER_VALUES)
    for name in ("collections", "tags"):
        for value in getattr(values, name):
            require_storable(value, f"{field}.{name}")
    if not all(is_row_id(number) for number in values.documents):
        raise InvalidInput(
            "unknown_document", "There is no such document.", field=f"{field}.documents"
        )
    _known(values.types, "type", Document.Kind.values, f"{field}.types")
    _known(values.languages, "language", tuple(LANGUAGES), f"{field}.languages")


def _known(values: Iterable[str], what: str, allowed: Sequence[str], field: str) -> None:
    for value in values:
        if value not in allowed:
            raise InvalidInput(
                f"unknown_{what}",
                f"'{value[:40]}' is not a {what}; use {', '.join(allowed)}.",
                field=field,
            )


def _metadata_check(filters: Filters) -> None:
    field = "filters.metadata"
    if len(filters.metadata) > MAX_METADATA_KEYS:
        raise InvalidInput("too_many_values", f"At most {MAX_METADATA_KEYS} keys.", field=field)
    _few([v for values in filters.metadata.values() for v in values], field, MAX_FILTER_VALUES)
    for key, values in filters.metadata.items():
        if not key or not values:
            raise InvalidInput(
                "invalid_metadata", "Name a key and at least one value for it.", field=field
            )
        for text in (key, *values):
            require_storable(text, field)
            if len(text) > MAX_VALUE_CHARS:
                raise InvalidInput(
                    "value_too_long", f"At most {MAX_VALUE_CHARS} characters.", field=field
                )


def _few(values: Sequence[object], field: str, most: int) -> None:
    if len(values) > most:
        raise InvalidInput("too_many_values", f"At most {most} values.", field=field)


def _between(name: str, value: int, maximum: int) -> None:
    if not 1 <= value <= maximum:
        raise InvalidInput(f"invalid_{name}", f"{name} is 1 to {maximum}.", field=name)
