"""Pages by their words: Postgres full text over names, page text and notes."""

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import F, Q, QuerySet

from searchapp.models import Page
from searchapp.models.lexical import lexical_text
from searchapp.search.types import LexicalHit, Scope


def lexical_search(text: str, scope: Scope, *, pages: int) -> list[LexicalHit]:
    """The `pages` best pages that hold any of the words; none for a query without words."""
    query = lexical_query(text)
    if query is None or scope.is_empty:
        return []
    found = _in_scope(scope).filter(search=query, step=Page.Step.DONE)
    # 1|32: divide by 1 + log(length), scale into 0..1
    ranked = found.annotate(rank=SearchRank(F("search"), query, normalization=33))
    rows = ranked.order_by("-rank", "pk").values_list("pk", "rank")[:pages]
    return [LexicalHit(pk, float(rank)) for pk, rank in rows]


def lexical_query(text: str) -> SearchQuery | None:
    """Any of the query's words, stemmed or as written; None when there is no word in it."""
    words = {word for word in _words(lexical_text(text)) if word}
    if not words:
        return None
    joined = " or ".join(sorted(words)[:64])
    return SearchQuery(joined, config="english", search_type="websearch") | SearchQuery(
        joined, config="simple", search_type="websearch"
    )


def _words(text: str) -> list[str]:
    cleaned = "".join(char if char.isalnum() else " " for char in text.lower())
    return [word for word in cleaned.split() if word not in {"or", "and"}]


def _in_scope(scope: Scope) -> QuerySet[Page]:
    bounds = Q()
    if scope.collections is not None:
        bounds &= Q(document__collection_id__in=scope.collections)
    if scope.documents is not None:
        bounds &= Q(document_id__in=scope.documents)
    return Page.objects.filter(bounds)
