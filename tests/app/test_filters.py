"""Every filter and exclusion, alone and combined, against the same rules in plain Python."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from pytest_django import Settings

from searchapp import access, library
from searchapp.access import SYSTEM, Actor
from searchapp.errors import InvalidInput
from searchapp.languages import language_get
from searchapp.models import Collection, Document, Membership, Page
from searchapp.models.indexes import index_active
from searchapp.models.literals import bits_literal, vector_literal
from searchapp.search import scope as scopes
from searchapp.search.query import Exclusions, Filters, metadata_from, text_query
from searchapp.search.scope import pages_count, scope_get
from searchapp.search.search import search_pages
from searchapp.search.types import Scope
from tests.app.conftest import People, ingested, pdf_make

pytestmark = pytest.mark.django_db

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(6)]
TAGS, LANGUAGES = ("finance", "photo", "draft"), ("", "en", "de", "ja")
METADATA: tuple[dict[str, Any], ...] = (
    {"year": 2025, "team": "north"},
    {"year": "2025", "team": ["north", "south"]},
    {"year": 2024.5, "final": True},
    {},
)


def corpus(people: People, seed: int) -> list[Page]:
    """60 documents of three collections, up to 4 pages each, most of them searchable."""
    rng = random.Random(seed)
    collections = [people.collection, *(_collection(people, name) for name in ("Board", "Plans"))]
    pages = []
    for number in range(60):
        document = Document.objects.create(
            collection=rng.choice(collections),
            title=f"Document {number}",
            filename="f",
            sha256=str(number),
            bytes=1,
            kind=rng.choice(Document.Kind.values),
            tags=rng.sample(TAGS, rng.randint(0, 2)),
            metadata=rng.choice(METADATA),
        )
        document.created_at = datetime.combine(
            rng.choice(DAYS), rng.choice([datetime.min, datetime.max]).time(), UTC
        )
        document.save(update_fields=["created_at"])
        pages += [_page(rng, document, n + 1) for n in range(rng.randint(1, 4))]
    return pages


def _collection(people: People, name: str) -> Collection:
    return library.collection_create(actor=Actor.from_user(people.alice), name=name)


def _page(rng: random.Random, document: Document, number: int) -> Page:
    step = rng.choice([Page.Step.DONE] * 5 + [Page.Step.EMBED])
    language = rng.choice(LANGUAGES)
    return Page.objects.create(document=document, number=number, step=step, language=language)


def vectors_make(people: People, pages: Iterable[Page]) -> None:
    """A random vector for each page: who is found depends on filters alone."""
    index, rng = index_active(), np.random.default_rng(1)
    with connection.cursor() as cursor:
        for page in pages:
            vector = rng.normal(size=index.dimension).astype(np.float32)
            vector /= np.linalg.norm(vector)
            cursor.execute(
                "INSERT INTO searchapp_embedding (index_id, page_id, collection_id, lane, position,"
                " bits, vec) VALUES (%s, %s, %s, 'text', 0, %s::varbit, %s::halfvec)",
                [
                    index.pk,
                    page.pk,
                    page.document.collection_id,
                    bits_literal(vector),
                    vector_literal(vector),
                ],
            )


def _values(document: Document, key: str) -> set[str]:
    """A document's metadata under a key, as a person would write it."""
    if key not in document.metadata:
        return set()
    value = document.metadata[key]
    values = value if isinstance(value, list) else [value]
    return {str(v).lower() if isinstance(v, bool) else str(v) for v in values}


# The rules, each for one filter: whether a page matches the wanted values.
RULES: dict[str, Callable[[Page, Any], bool]] = {
    "collections": lambda page, wanted: page.document.collection.slug in wanted,
    "documents": lambda page, wanted: page.document_id in wanted,
    "types": lambda page, wanted: page.document.kind in wanted,
    "tags": lambda page, wanted: bool(set(page.document.tags) & set(wanted)),
    "languages": lambda page, wanted: page.language in wanted,
    "uploaded_from": lambda page, day: page.document.created_at.date() >= day,
    "uploaded_to": lambda page, day: page.document.created_at.date() <= day,
    "page_from": lambda page, number: page.number >= number,
    "page_to": lambda page, number: page.number <= number,
    "metadata": lambda page, wanted: all(
        _values(page.document, key) & set(values) for key, values in wanted.items()
    ),
}
EXCLUDED = ("collections", "documents", "types", "tags", "languages")


def expected(pages: Iterable[Page], filters: Filters) -> set[int]:
    """Ids of the searchable pages that pass, by the rules above."""
    passing = [page for page in pages if page.step == Page.Step.DONE]
    for name, rule in RULES.items():
        if (wanted := getattr(filters, name)) not in ((), None, {}):
            passing = [page for page in passing if rule(page, wanted)]
        if name in EXCLUDED and (unwanted := getattr(filters.without, name)):
            passing = [page for page in passing if not rule(page, unwanted)]
    return {page.pk for page in passing}


def some_filters(rng: random.Random, pages: list[Page]) -> Filters:
    """Any one to four filters and exclusions with values that occur."""

    def values(name: str) -> tuple[Any, ...]:
        choices: dict[str, list[Any]] = {
            "collections": ["reports", "board", "plans"],
            "documents": [page.document_id for page in pages],
            "types": list(Document.Kind.values),
            "tags": [*TAGS, "nobody's"],
            "languages": list(LANGUAGES[1:]),
        }
        return tuple(rng.sample(choices[name], rng.choice([1, 2, 2])))

    ranges = {
        "uploaded_from": rng.choice(DAYS[:3]),
        "uploaded_to": rng.choice(DAYS[2:]),
        "page_from": rng.randint(1, 2),
        "page_to": rng.randint(2, 3),
        "metadata": rng.choice(
            [
                {"year": ("2025",)},
                {"team": ("south", "x")},
                {"year": ("2025", "2024.5")},
                {"final": ("true",)},
                {"team": ("north",), "year": ("2025",)},
                {"none": ("x",)},
            ]
        ),
    }
    chosen = rng.sample([*RULES, *(f"without.{name}" for name in EXCLUDED)], rng.randint(1, 4))
    given: dict[str, Any] = {
        name: ranges[name] if name in ranges else values(name)
        for name in chosen
        if not name.startswith("without.")
    }
    without = {n.split(".")[1]: values(n.split(".")[1]) for n in chosen if n.startswith("without.")}
    return Filters(**given, without=Exclusions(**without))


def matching(scope: Scope) -> set[int]:
    """The ids that the scope's own subselect gives, within its collections."""
    sql, parameters = "SELECT id FROM searchapp_page WHERE step = 'done'", {}
    if scope.pages is not None:
        sql, parameters = scope.pages.sql, dict(scope.pages.parameters)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found = {row[0] for row in cursor.fetchall()}
    pages = Page.objects.filter(pk__in=found)
    if scope.collections is not None:
        pages = pages.filter(document__collection_id__in=scope.collections)
    return set(pages.values_list("pk", flat=True))


@pytest.mark.parametrize("seed", range(3))
def test_filters_match_as_the_rules_say(people: People, seed: int) -> None:
    pages, rng = corpus(people, seed), random.Random(seed)
    sizes = set()
    for _ in range(60):
        filters = some_filters(rng, pages)
        scope, wanted = scope_get(SYSTEM, filters), expected(pages, filters)
        assert matching(scope) == wanted, filters
        assert pages_count(scope) == len(wanted), filters
        sizes.add(len(wanted))
    assert len(sizes) > 10, "the filters are hardly told apart"


@pytest.mark.parametrize(
    "filters",
    [
        Filters(collections=("board",)),
        Filters(types=("pdf",)),
        Filters(tags=("photo", "draft")),
        Filters(languages=("en", "ja")),
        Filters(uploaded_from=DAYS[2], uploaded_to=DAYS[2]),
        Filters(uploaded_to=date.max),
        Filters(page_from=2, page_to=3),
        Filters(metadata=metadata_from(["year:2025"])),
        Filters(without=Exclusions(collections=("board", "plans"))),
        Filters(without=Exclusions(tags=("photo",), languages=("en",))),
    ],
)
def test_each_filter_bounds_the_hits(people: People, filters: Filters) -> None:
    """Through the whole search: all that match come, and nothing else."""
    pages = corpus(people, seed=7)
    vectors_make(people, [page for page in pages if page.step == Page.Step.DONE])
    answer = search_pages(actor=SYSTEM, query=text_query("a", filters=filters, limit=200))
    assert {hit.page.pk for hit in answer.hits} == expected(pages, filters)
    assert all(hit.reasons["filters"] == list(filters.narrowing) for hit in answer.hits)


def test_nothing_that_matches_is_an_answer_that_says_so(people: People) -> None:
    ingested(people, pdf_make(), "report.pdf")
    answer = search_pages(
        actor=SYSTEM, query=text_query("turbine", filters=Filters(tags=("nobody's",)))
    )
    assert (answer.hits, answer.is_answered) == ((), False)
    assert answer.message.startswith("No page")


def test_rights_and_filters_together(people: People) -> None:
    """bob views one of three collections, charlie none; an exclusion opens nothing."""
    pages = corpus(people, seed=3)
    mine = {p.pk for p in pages if p.document.collection_id == people.collection.pk}
    for filters in (
        Filters(),
        Filters(types=("pdf",)),
        Filters(without=Exclusions(tags=("photo",))),
        Filters(without=Exclusions(types=("pdf",), languages=("de",))),
    ):
        bob, charlie = (
            scope_get(Actor.from_user(who), filters) for who in (people.bob, people.charlie)
        )
        assert matching(bob) == expected(pages, filters) & mine
        assert charlie.collections == ()
        assert pages_count(charlie) == 0


def test_a_narrowed_key_of_an_administrator_is_narrow(people: People) -> None:
    pages = corpus(people, seed=3)
    actor = Actor(
        user_id=people.root.pk,
        is_superuser=True,
        collection_ids=frozenset({people.collection.pk}),
    )
    filters = Filters(without=Exclusions(types=("pdf",)))
    mine = {p.pk for p in pages if p.document.collection_id == people.collection.pk}
    assert matching(scope_get(actor, filters)) == expected(pages, filters) & mine


@pytest.mark.parametrize("where", ["filters.collections", "filters.without.collections"])
def test_excluded_collections_of_others_are_unknown_too(people: People, where: str) -> None:
    filters = Filters(collections=("reports",))
    if "without" in where:
        filters = Filters(without=Exclusions(collections=("reports",)))
    with pytest.raises(InvalidInput) as caught:
        scope_get(Actor.from_user(people.charlie), filters)
    assert (caught.value.code, caught.value.field) == ("unknown_collection", where)


def test_days_are_those_of_the_project(people: People, settings: Settings) -> None:
    """Uploaded at 23:30 UTC: already the next day in Tokyo."""
    document = ingested(people, pdf_make(["one"]), "one.pdf")
    Document.objects.filter(pk=document.pk).update(
        created_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    )
    day = Filters(uploaded_from=date(2026, 3, 1), uploaded_to=date(2026, 3, 1))
    assert pages_count(scope_get(SYSTEM, day)) == 1
    settings.TIME_ZONE = "Asia/Tokyo"
    assert pages_count(scope_get(SYSTEM, day)) == 0


def test_counting_stops_where_it_is_enough(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = corpus(people, seed=1)
    filters = Filters(types=("pdf",))
    count = len(expected(pages, filters))
    monkeypatch.setattr(scopes, "EXACT_PAGES", count)
    assert scope_get(SYSTEM, filters).pages.count == count  # type: ignore[union-attr]
    monkeypatch.setattr(scopes, "EXACT_PAGES", count - 1)
    assert scope_get(SYSTEM, filters).pages.count is None  # type: ignore[union-attr]


def test_counting_reads_no_rows(people: People) -> None:
    """What filters ask of pages stands in an index, so a count is cheap at any size of page."""
    filters = Filters(languages=("de",), page_to=3, types=("pdf",))
    found = scope_get(SYSTEM, filters).pages
    assert found is not None
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {found.sql}", found.parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Only Scan using page_found" in plan, plan


def test_metadata_is_looked_up_in_its_index(db: None) -> None:
    clause, parameters = scopes._metadata({"year": ("2025", "2024"), "team": ("north",)})
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN SELECT FROM searchapp_document document WHERE {clause}", parameters
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Bitmap Index Scan on document_metadata" in plan, plan


def test_memberships_through_a_filter_see_new_rights_at_once(people: People) -> None:
    corpus(people, seed=2)
    charlie = Actor.from_user(people.charlie)
    assert pages_count(scope_get(charlie, Filters(types=("pdf",)))) == 0
    Membership.objects.create(
        collection=people.collection, user=people.charlie, role=Membership.Role.VIEWER
    )
    found = matching(scope_get(charlie, Filters(types=("pdf",))))
    seen = access.visible_pages(charlie).filter(document__kind="pdf", step="done")
    assert found == set(seen.values_list("pk", flat=True)) != set()


# --- languages -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The turbine blades are inspected every spring because of the salt.", "en"),
        ("Die Wartung der Windräder erfolgt jedes Jahr im Frühjahr.", "de"),
        ("Les pales de la turbine sont inspectées chaque printemps.", "fr"),
        ("風力タービンの点検は毎年春に行われます", "ja"),
        ("每年春天都会检查风力涡轮机的叶片", "zh"),
        ("Revenue", ""),
        ("12 345 678 90 2025 17 % 99", ""),
        ("", ""),
        ("AB-1234 ZX-4711B Q3 kWh GmbH", ""),
        ("\ud800 \x00", ""),
    ],
)
def test_language_of_a_text(text: str, language: str) -> None:
    assert language_get(text) == language


def test_pages_get_their_language_and_are_filtered_by_it(people: People) -> None:
    german = "Die Wartung der Windkraftanlagen erfolgt in jedem Jahr im Winter."
    ingested(people, pdf_make([german, "Turbine blades are inspected in every spring.", "12"]), "a")
    found = dict(Page.objects.values_list("number", "language"))
    assert found == {1: "de", 2: "en", 3: ""}
    filters = Filters(languages=("de",))
    answer = search_pages(actor=SYSTEM, query=text_query("turbine", filters=filters))
    assert [hit.page.number for hit in answer.hits] == [1]


def test_filters_that_narrow_are_named() -> None:
    filters = Filters(tags=("a",), page_from=2, without=Exclusions(types=("pdf",)))
    assert filters.narrowing == ("tags", "page_from", "without.types")
    assert replace(filters, tags=()).narrowing == ("page_from", "without.types")
