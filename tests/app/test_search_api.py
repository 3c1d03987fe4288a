"""Searching over HTTP: every field, by body and by address; what cannot be asked."""

import base64
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from searchapp import access
from searchapp.models import Page
from searchapp.search.types import Answer
from tests.app.conftest import People, ingested, pdf_make, png_make, upload
from tests.app.test_api import Api

pytestmark = pytest.mark.django_db

TEXTS = (
    "Turbine blades are inspected every spring because of the salt.",
    "Die Wartung der Windkraftanlagen erfolgt in jedem Jahr im Winter.",
    "Employees receive thirty days of paid vacation each year.",
)


@pytest.fixture
def alice(key: str) -> Api:
    return Api(key)


@pytest.fixture
def pages(people: People) -> list[Page]:
    document = ingested(
        people,
        pdf_make(TEXTS),
        "report.pdf",
        tags=("energy",),
        metadata={"team": "north", "year": 2025},
    )
    return list(document.pages.order_by("number"))


def numbers(answer: dict[str, Any]) -> list[int]:
    return [hit["page"]["number"] for hit in answer["hits"]]


@pytest.mark.parametrize(
    ("filters", "parameters", "expected"),
    [
        ({"languages": ["de"]}, "language=de", {2}),
        ({"without": {"languages": ["de"]}}, "without_language=de", {1, 3}),
        ({"page_from": 2}, "page_from=2", {2, 3}),
        ({"page_from": 2, "page_to": 2}, "page_from=2&page_to=2", {2}),
        ({"metadata": {"team": "north"}}, "metadata=team:north", {1, 2, 3}),
        (
            {"metadata": {"team": ["x"], "year": "2025"}},
            "metadata=team:x&metadata=year:2025",
            set(),
        ),
        ({"uploaded_to": "2001-01-01"}, "uploaded_to=2001-01-01", set()),
        ({"uploaded_from": "2001-01-01"}, "uploaded_from=2001-01-01", {1, 2, 3}),
        ({"tags": ["energy"], "types": ["pdf"]}, "tag=energy&type=pdf", {1, 2, 3}),
        ({"without": {"tags": ["energy"]}}, "without_tag=energy", set()),
        ({"without": {"types": ["deck"]}}, "without_type=deck&without_type=image", {1, 2, 3}),
        ({"without": {"collections": ["reports"]}}, "without_collection=reports", set()),
    ],
)
def test_filters_by_body_and_by_address(
    pages: list[Page], alice: Api, filters: Any, parameters: str, expected: set[int]
) -> None:
    status, by_body = alice.post("/search", {"query": "wind", "filters": filters})
    assert status == 200, by_body
    by_address = alice._client.get(f"/api/v1/search?q=wind&{parameters}").json()
    assert set(numbers(by_body)) == set(numbers(by_address)) == set(expected)
    assert by_body["is_answered"] or not expected or by_body["message"]


def test_documents_by_body_and_by_address(pages: list[Page], alice: Api) -> None:
    document = pages[0].document_id
    for filters, parameters, found in (
        ({"documents": [document]}, f"document={document}", 3),
        ({"without": {"documents": [document]}}, f"without_document={document}", 0),
    ):
        _, by_body = alice.post("/search", {"query": "wind", "filters": filters})
        by_address = alice._client.get(f"/api/v1/search?q=wind&{parameters}").json()
        assert len(by_body["hits"]) == len(by_address["hits"]) == found


def test_an_answer_says_how_well_it_fits_and_counts(pages: list[Page], alice: Api) -> None:
    _, answer = alice.post("/search", {"query": "inspection of turbine blades", "facets": True})
    assert (answer["is_answered"], answer["message"]) == (True, "")
    hit = answer["hits"][0]
    assert hit["band"] in {"strong", "likely"}
    assert hit["page"]["language"] == "en"
    assert answer["facets"]["collections"]["reports"] >= 1
    assert answer["facets"]["tags"]["energy"] >= 1
    _, empty = alice.post("/search", {"query": "blades", "filters": {"tags": ["no"]}})
    assert (empty["hits"], empty["is_answered"]) == ([], False)
    assert empty["message"]


def test_filters_that_narrowed_are_a_reason(pages: list[Page], alice: Api) -> None:
    body = {"query": "wind", "filters": {"types": ["pdf"], "without": {"tags": ["x"]}}}
    _, answer = alice.post("/search", body)
    assert answer["hits"][0]["reasons"]["filters"] == ["types", "without.tags"]


def test_similar_pages(people: People, pages: list[Page], alice: Api) -> None:
    status, answer = alice.get(f"/pages/{pages[0].pk}/similar", limit=1)
    assert (status, len(answer["hits"])) == (200, 1)
    _, by_body = alice.post("/search", {"like": [pages[0].pk], "limit": 1})
    _, by_address = alice.get("/search", like=pages[0].pk, limit=1)
    assert numbers(answer) == numbers(by_body) == numbers(by_address)
    _, bounded = alice.get(f"/pages/{pages[0].pk}/similar", language="de")
    assert numbers(bounded) == [2]
    path = f"/api/v1/pages/{pages[0].pk}/similar"
    assert people.client("charlie").get(path).status_code == 404


def test_more_like_this_less_like_that(pages: list[Page], alice: Api) -> None:
    body = {"query": "days", "like": [pages[0].pk], "unlike": [pages[2].pk]}
    status, answer = alice.post("/search", body)
    assert (status, numbers(answer)) == (200, [2])


def test_a_part_of_a_page_as_query(people: People, pages: list[Page], alice: Api) -> None:
    part = {"type": "page", "page": pages[1].pk, "box": [0, 0, 1, 0.5]}
    status, answer = alice.post("/search", {"query": {"content": [part]}})
    assert (status, numbers(answer)[0]) == (200, 2)
    body = json.dumps({"query": {"content": [part]}})
    client = people.client("charlie")
    refused = client.post("/api/v1/search", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_page")
    secret = access.apikey_create(name="u", user=people.alice, scopes=("upload",))
    assert Api(secret).post("/search", {"query": {"content": [part]}})[0] == 403


def test_sort_and_weight_and_group(pages: list[Page], alice: Api) -> None:
    uri = "data:image/png;base64," + base64.b64encode(png_make("Turbine blades")).decode()
    content = [{"type": "text", "text": "vacation"}, {"type": "image", "image": uri}]
    for weight, first in ((0, 3), (1, 1)):
        body = {"query": {"content": content}, "image_weight": weight, "group": True}
        status, answer = alice.post("/search", body)
        assert (status, numbers(answer)) == (200, [first])
    _, ordered = alice.post("/search", {"query": "year", "sort": "document"})
    fitting = [h["page"]["number"] for h in ordered["hits"] if h["band"] != "weak"]
    assert fitting == sorted(fitting)


# --- what cannot be asked -----------------------------------------------------------------------

HUGE = 10**30
X: dict[str, Any] = {"query": "x"}
PNG = "data:image/png;base64,"
PICTURE = {"type": "image", "image": PNG + base64.b64encode(png_make()).decode()}
DAMAGED = {"type": "image", "image": PNG + base64.b64encode(png_make()[:200]).decode()}


def bounded(**filters: Any) -> dict[str, Any]:
    return {"query": "x", "filters": filters}


def content(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"query": {"content": list(parts)}}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "query", "empty_query"),
        ({"query": " \u3000\n"}, "query", "empty_query"),
        ({"query": "-turbine"}, "query", "empty_query"),
        *(({"query": signs}, "query", "empty_query") for signs in ("-", '"', '""', "?! …")),
        ({"unlike": [1]}, "query", "empty_query"),
        ({"query": "x" * 100_000}, "query", "query_too_long"),
        (content(*[PICTURE] * 5), "query", "too_many_pictures"),
        (content(DAMAGED), "query", "invalid_image"),
        (content(*[{"type": "text", "text": "x"}] * 21), "query", "query_too_long"),
        ({"query": None}, "query.str", "invalid_field"),
        ({"query": "x", "filter": {}}, "filter", "invalid_field"),
        (bounded(author=["me"]), "filters.author", "invalid_field"),
        (bounded(without={"years": [1]}), "filters.without.years", "invalid_field"),
        # numbers
        (X | {"limit": 201}, "limit", "invalid_limit"),
        (X | {"limit": -1}, "limit", "invalid_limit"),
        (X | {"limit": HUGE}, "limit", "invalid_limit"),
        (X | {"limit": "many"}, "limit", "invalid_field"),
        (X | {"oversampling": 51}, "oversampling", "invalid_oversampling"),
        (X | {"sort": "oldest"}, "sort", "unknown_sort"),
        (X | {"image_weight": 1.01}, "image_weight", "invalid_image_weight"),
        (X | {"image_weight": -0.01}, "image_weight", "invalid_image_weight"),
        (X | {"image_weight": float("nan")}, "image_weight", "invalid_image_weight"),
        (X | {"image_weight": float("inf")}, "image_weight", "invalid_image_weight"),
        (X | {"image_weight": "heavy"}, "image_weight", "invalid_field"),
        # filters
        (bounded(types=["video"]), "filters.types", "unknown_type"),
        (bounded(without={"types": ["video"]}), "filters.without.types", "unknown_type"),
        (bounded(languages=["xx"]), "filters.languages", "unknown_language"),
        (bounded(languages=["\ud800"]), "filters.languages", "unknown_language"),
        (bounded(without={"languages": [""]}), "filters.without.languages", "unknown_language"),
        (bounded(collections=["no"]), "filters.collections", "unknown_collection"),
        (bounded(without={"collections": ["no"]}), "filters.without.collections", None),
        (bounded(tags=["t"] * 201), "filters.tags", "too_many_values"),
        (bounded(without={"tags": ["t"] * 201}), "filters.without.tags", "too_many_values"),
        (bounded(without={"tags": ["a\x00"]}), "filters.without.tags", "invalid_text"),
        (bounded(documents=[-1]), "filters.documents", "unknown_document"),
        (bounded(documents=[HUGE]), "filters.documents", "unknown_document"),
        (bounded(without={"documents": [-1]}), "filters.without.documents", "unknown_document"),
        (bounded(documents=list(range(201))), "filters.documents", "too_many_values"),
        (bounded(page_from=0), "filters.page_from", "invalid_page_from"),
        (bounded(page_to=-5), "filters.page_to", "invalid_page_to"),
        (bounded(page_to=HUGE), "filters.page_to", "invalid_page_to"),
        (bounded(page_from=3, page_to=2), "filters.page_to", "impossible_range"),
        (
            bounded(uploaded_from="2026-02-02", uploaded_to="2026-02-01"),
            "filters.uploaded_to",
            "impossible_range",
        ),
        (bounded(uploaded_from="2026-02-30"), "filters.uploaded_from", "invalid_field"),
        (bounded(uploaded_to="soon"), "filters.uploaded_to", "invalid_field"),
        (bounded(metadata={"": "x"}), "filters.metadata", "invalid_metadata"),
        (bounded(metadata={"a": []}), "filters.metadata", "invalid_metadata"),
        (bounded(metadata={"a": "\x00"}), "filters.metadata", "invalid_text"),
        (bounded(metadata={"\ud800": "x"}), "filters.metadata", "invalid_text"),
        (bounded(metadata={"a": "x" * 1001}), "filters.metadata", "value_too_long"),
        (bounded(metadata={"a" * 1001: "x"}), "filters.metadata", "value_too_long"),
        (bounded(metadata={"a": ["x"] * 201}), "filters.metadata", "too_many_values"),
        (bounded(metadata={str(n): "x" for n in range(21)}), "filters.metadata", None),
        # pages
        ({"like": [10**9]}, "like", "unknown_page"),
        ({"like": [-1]}, "like", "unknown_page"),
        ({"like": [HUGE]}, "like", "unknown_page"),
        (X | {"unlike": [10**9]}, "unlike", "unknown_page"),
        ({"like": list(range(21))}, "like", "too_many_values"),
        ({"like": [1], "unlike": [1]}, "unlike", "like_and_unlike"),
        (content({"type": "page"}), "query.content.0", "invalid_part"),
        (content({"type": "page", "page": True}), "query.content.0", "invalid_part"),
        (content({"type": "page", "page": 10**9}), "query.content.0", "unknown_page"),
        (content({"type": "page", "page": -HUGE}), "query.content.0", "unknown_page"),
        (content({"type": "page", "page": 1, "box": "all"}), "query.content.0", "invalid_part"),
        (content({"type": "page", "page": 1, "box": [0, 0, 1]}), "query.content.0", "invalid_box"),
        (content({"type": "page", "page": 1, "box": [0, 0, 2, 2]}), "query.content.0", None),
        (content({"type": "page", "page": 1, "box": [0, 0, "1", 1]}), "query.content.0", None),
        (content({"type": "page", "page": 1, "box": [0, 0, HUGE, 1]}), "query.content.0", None),
    ],
)
def test_what_cannot_be_asked(
    people: People, alice: Api, body: dict[str, Any], field: str, code: str | None
) -> None:
    status, problem = alice.post("/search", json.dumps(body))
    assert status == 422, problem
    assert problem["field"] == field
    assert code in (None, problem["code"]), problem
    assert problem["detail"]


@pytest.mark.parametrize(
    ("parameters", "field", "code"),
    [
        ("", "query", "empty_query"),
        ("q=x&colour=red", "colour", "invalid_field"),
        ("q=x&limit=9999", "limit", "invalid_limit"),
        ("q=x&limit=", "limit", "invalid_field"),
        ("q=x&type=video", "filters.types", "unknown_type"),
        ("q=x&metadata=team", "filters.metadata", "invalid_metadata"),
        ("q=x&metadata=:north", "filters.metadata", "invalid_metadata"),
        ("q=x&language=en&language=xx", "filters.languages", "unknown_language"),
        ("q=x&page_from=5&page_to=1", "filters.page_to", "impossible_range"),
        ("q=x&uploaded_from=yesterday", "uploaded_from", "invalid_field"),
        ("like=-1", "like", "unknown_page"),
        ("q=" + "x" * 20_000, "query", "query_too_long"),
    ],
)
def test_what_cannot_be_asked_by_address(
    people: People, alice: Api, parameters: str, field: str, code: str
) -> None:
    response = alice._client.get(f"/api/v1/search?{parameters}")
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, code), problem
    assert problem["field"].removeprefix("asked.") == field


def test_unknown_parameters_of_similar_pages(pages: list[Page], alice: Api) -> None:
    status, problem = alice.get(f"/pages/{pages[0].pk}/similar", q="x")
    assert (status, problem["code"], problem["field"]) == (422, "invalid_field", "q")


def test_a_page_without_vectors_is_no_example_yet(people: People, alice: Api) -> None:
    document = upload(people, pdf_make(["one"]), "one.pdf")
    page = Page.objects.create(document=document, number=1)
    status, problem = alice.post("/search", {"like": [page.pk]})
    assert (status, problem["code"], problem["field"]) == (422, "page_not_embedded", "like")


def test_a_search_that_takes_too_long_is_503(
    pages: list[Page], alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*args: Any, **named: Any) -> Answer:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)")
        raise AssertionError

    monkeypatch.setattr("searchapp.search.search.lexical_search", slow)
    response = alice._client.post("/api/v1/search", X, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (503, "search_timeout")
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("body", "field", "code", "detail"),
    [
        (bounded(page_to=10**12), "filters.page_to", "invalid_page_to", "1 to 2147483647"),
        (X | {"colour": 1}, "colour", "invalid_field", "There is no field 'colour'."),
        ([], "body", "invalid_field", "body: "),
        (bounded(metadata={"year": {}}), "filters.metadata.year", "invalid_field", "or a number"),
        (
            bounded(tags=["a"], without={"tags": ["b", "a"]}),
            "filters.without.tags",
            "impossible_filter",
            "'a' is both",
        ),
        (bounded(documents=[99999]), "filters.documents", "unknown_document", "99999"),
        (
            bounded(without={"documents": [99999]}),
            "filters.without.documents",
            "unknown_document",
            "99999",
        ),
    ],
)
def test_what_is_wrong_is_said(
    people: People, alice: Api, body: Any, field: str, code: str, detail: str
) -> None:
    status, problem = alice.post("/search", body)
    assert (status, problem["field"], problem["code"]) == (422, field, code)
    assert detail in problem["detail"]


def test_a_hidden_document_is_an_unknown_one(people: People, pages: list[Page]) -> None:
    document = pages[0].document_id
    key = access.apikey_create(name="other", user=people.charlie)
    body = bounded(documents=[document])
    assert Api(key).post("/search", body)[1]["code"] == "unknown_document"


def test_numbers_in_metadata_and_languages_in_any_case(alice: Api, pages: list[Page]) -> None:
    for filters in ({"metadata": {"year": 2025}}, {"metadata": {"year": [2025, 1.5]}}):
        assert len(alice.post("/search", bounded(**filters))[1]["hits"]) == 3
    assert numbers(alice.post("/search", bounded(languages=["DE"]))[1]) == [2]


def test_another_method_is_a_problem(people: People, client: Client) -> None:
    response = client.delete("/api/v1/search")
    assert (response.status_code, response["Allow"]) == (405, "GET, POST")
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "method_not_allowed"


def test_nothing_is_said_of_what_was_asked(people: People, alice: Api) -> None:
    message = alice.post("/search", X)[1]["message"]
    assert message == "No page that you may see matches the query."
    filtered = alice.post("/search", bounded(tags=["a"]))[1]["message"]
    assert filtered.endswith("matches the query and its filters.")
