"""Where a search may look: rights and filters as ids and one subselect. Knows no vectors."""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from searchapp import access
from searchapp.access import Actor
from searchapp.errors import InvalidInput
from searchapp.search.query import Filters
from searchapp.search.types import EXACT_PAGES, PageFilter, Scope

_PAGES = (
    "SELECT page.id FROM searchapp_page page "
    "JOIN searchapp_document document ON document.id = page.document_id WHERE "
)


def scope_get(actor: Actor, filters: Filters) -> Scope:
    """Rights and filters as ids. Raises InvalidInput for unknown collections."""
    found = collections_allowed(actor, filters)
    collections = None if found is None else tuple(found)
    return Scope(collections, None if filters.is_empty else _page_filter(collections, filters))


def _page_filter(collections: tuple[int, ...] | None, filters: Filters) -> PageFilter:
    clauses: list[str] = []
    bounds: dict[str, Any] = {}
    if filters.documents:
        clauses.append("page.document_id = ANY(%(documents)s)")
        bounds["documents"] = list(filters.documents)
    if filters.types:
        clauses.append("document.kind = ANY(%(types)s)")
        bounds["types"] = list(filters.types)
    if filters.tags:
        clauses.append("document.tags && %(tags)s::varchar[]")
        bounds["tags"] = list(filters.tags)
    sql = _PAGES + (" AND ".join(clauses) or "true")
    return PageFilter(sql, bounds, _count(sql, bounds, collections))


def pages_count(scope: Scope) -> int | None:
    """How many searchable pages are in scope; None when more than EXACT_PAGES are."""
    if scope.is_empty:
        return 0
    sql = scope.pages.sql if scope.pages else f"{_PAGES} true"
    bounds = scope.pages.parameters if scope.pages else {}
    return _count(f"{sql} AND page.step = 'done'", bounds, scope.collections)


def _count(sql: str, bounds: Mapping[str, Any], collections: tuple[int, ...] | None) -> int | None:
    if collections is not None:
        sql += " AND document.collection_id = ANY(%(collections)s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM ({sql} LIMIT {EXACT_PAGES + 1}) AS matching",  # noqa: S608  (bounds are parameters)
            {**bounds, "collections": list(collections or ())},
        )
        count = int(cursor.fetchone()[0])
    return count if count <= EXACT_PAGES else None


def collections_allowed(actor: Actor, filters: Filters) -> list[int] | None:
    """Ids of the collections to search; None when the actor may see all and none are named.

    Raises InvalidInput for a slug that does not exist or is not visible.
    """
    if actor.is_superuser and actor.collection_ids is None and not filters.collections:
        return None
    visible = access.visible_collections(actor)
    if not filters.collections:
        return list(visible.values_list("pk", flat=True))
    found = dict(visible.filter(slug__in=filters.collections).values_list("slug", "pk"))
    for slug in filters.collections:
        if slug not in found:
            raise InvalidInput(
                "unknown_collection",
                f"There is no collection '{slug}'.",
                field="filters.collections",
            )
    return list(found.values())
