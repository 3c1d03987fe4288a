"""Where a search may look: rights and filters as ids and one subselect. Knows no vectors."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from searchapp import access
from searchapp.access import Actor
from searchapp.errors import InvalidInput
from searchapp.search.query import Exclusions, Filters
from searchapp.search.stages.statement import Statement, statement_run
from searchapp.search.types import EXACT_PAGES, PageFilter, Scope

Condition = tuple[str, dict[str, Any]]

_PAGES = (
    "SELECT page.id FROM searchapp_page page "
    "JOIN searchapp_document document ON document.id = page.document_id "
    "WHERE page.step = 'done'"
)
# What a filter's values are compared with; one row for the filter and its exclusion.
_COLUMNS = {
    "documents": "page.document_id = ANY(%({})s)",
    "types": "document.kind = ANY(%({})s)",
    "tags": "document.tags && %({})s::varchar[]",
    "languages": "page.language = ANY(%({})s)",
}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")


def scope_get(actor: Actor, filters: Filters, words: Condition = ("", {})) -> Scope:
    """Rights, filters, and the condition on words (of `syntax.condition`) as ids and a subselect.

    Raises InvalidInput for collections and documents that do not exist or are not visible.
    """
    collections = collections_allowed(actor, filters)
    _documents_check(actor, filters)
    if filters.is_empty and not words[0]:
        return Scope(collections)
    sql, parameters = _conditions(filters, words)
    return Scope(collections, PageFilter(sql, parameters, _count(sql, parameters, collections)))


def pages_count(scope: Scope) -> int | None:
    """How many searchable pages are in scope; None when more than EXACT_PAGES are."""
    if scope.is_empty:
        return 0
    if scope.pages is not None:
        return scope.pages.count
    return _count(_PAGES, {}, scope.collections)


def _conditions(filters: Filters, words: Condition) -> Condition:
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    for name, column in _COLUMNS.items():
        if wanted := getattr(filters, name):
            clauses.append(column.format(name))
            parameters[name] = list(wanted)
        if unwanted := getattr(filters.without, name):
            clauses.append(f"NOT {column.format(f'without_{name}')}")
            parameters[f"without_{name}"] = list(unwanted)
    for clause, bounds in (_ranges(filters), _metadata(filters.metadata), words):
        if clause:
            clauses.append(clause)
            parameters |= bounds
    return " AND ".join([_PAGES, *clauses]), parameters


def _ranges(filters: Filters) -> Condition:
    bounds = {
        "page.number >= %(page_from)s": filters.page_from,
        "page.number <= %(page_to)s": filters.page_to,
        "document.created_at >= %(uploaded_from)s": _midnight(filters.uploaded_from),
        "document.created_at < %(uploaded_to)s": _midnight(_day_after(filters.uploaded_to)),
    }
    given = {clause: value for clause, value in bounds.items() if value is not None}
    parameters = {re.findall(r"\((\w+)\)", clause)[0]: value for clause, value in given.items()}
    return " AND ".join(given), parameters


def _day_after(day: date | None) -> date | None:
    return None if day in (None, date.max) else day + timedelta(days=1)


def _midnight(day: date | None) -> datetime | None:
    """When the day begins in the project's time zone."""
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day, time.min), timezone.get_default_timezone())


def _metadata(wanted: Mapping[str, tuple[str, ...]]) -> Condition:
    parameters = {
        f"metadata_{place}": [
            json.dumps({key: form}) for value in values for form in _json_forms(value)
        ]
        for place, (key, values) in enumerate(wanted.items())
    }
    clauses = [f"document.metadata @> ANY(%({name})s::jsonb[])" for name in parameters]
    return " AND ".join(clauses), parameters


def _json_forms(value: str) -> list[Any]:
    """What a filter's text may be in a document: the text, the number or truth it spells, or a
    member of a list."""
    plain: list[Any] = [value]
    if value in ("true", "false") or _NUMBER.fullmatch(value):
        plain.append(json.loads(value))
    return plain + [[form] for form in plain]


def _count(
    sql: str, parameters: Mapping[str, Any], collections: tuple[int, ...] | None
) -> int | None:
    """How many pages match; it stops at EXACT_PAGES, so that broad filters cost no more."""
    if collections is not None:
        sql += " AND document.collection_id = ANY(%(collections)s)"
    statement = Statement(
        {},
        f"SELECT count(*) FROM ({sql} LIMIT {EXACT_PAGES + 1}) AS matching",  # noqa: S608  (bounds are parameters)
        {**parameters, "collections": list(collections or ())},
    )
    count = int(statement_run(statement)[0][0])
    return count if count <= EXACT_PAGES else None


def _documents_check(actor: Actor, filters: Filters) -> None:
    for field, ids in (
        ("filters.documents", filters.documents),
        ("filters.without.documents", filters.without.documents),
    ):
        if not ids:
            continue
        there = access.visible_documents(actor).filter(pk__in=ids).values_list("pk", flat=True)
        if missing := set(ids) - set(there):
            message = f"There is no document {min(missing)}."
            raise InvalidInput("unknown_document", message, field=field)


def collections_allowed(actor: Actor, filters: Filters) -> tuple[int, ...] | None:
    """Ids of the collections to search; None when the actor may see all and none are named.

    Raises InvalidInput for a slug that does not exist or is not visible.
    """
    without: Exclusions = filters.without
    is_unbound = actor.is_superuser and actor.collection_ids is None
    if is_unbound and not filters.collections and not without.collections:
        return None
    visible = access.visible_collection_ids(actor)
    for field, slugs in (
        ("filters.collections", filters.collections),
        ("filters.without.collections", without.collections),
    ):
        for slug in slugs:
            if slug not in visible:
                raise InvalidInput(
                    "unknown_collection", f"There is no collection '{slug}'.", field=field
                )
    wanted = filters.collections or visible
    return tuple(visible[slug] for slug in wanted if slug not in without.collections)
