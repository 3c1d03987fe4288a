"""The JSON API over Django's client: every endpoint, every person, every error shape."""

import base64
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from searchapp import access
from searchapp.api.router import api
from searchapp.models import Collection, Document
from tests.app.conftest import People, drain, ingested, pdf_make, png_make

pytestmark = pytest.mark.django_db(transaction=True)


class Api:
    """A bearer client; answers are (status, body)."""

    def __init__(self, secret: str) -> None:
        self._client = Client(headers={"authorization": f"Bearer {secret}"})

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        response = self._client.get(f"/api/v1{path}", query)
        return response.status_code, response.json()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        response = self._client.post(f"/api/v1{path}", body, content_type="application/json")
        return response.status_code, response.json()

    def upload(self, content: bytes, filename: str, **fields: str) -> tuple[int, Any]:
        body = {"collection": "reports", "file": SimpleUploadedFile(filename, content), **fields}
        response = self._client.post("/api/v1/documents", body)
        return response.status_code, response.json()

    def delete(self, path: str) -> int:
        return int(self._client.delete(f"/api/v1{path}").status_code)


@pytest.fixture
def alice(key: str) -> Api:
    return Api(key)


def test_upload_poll_search_show_delete(people: People, alice: Api) -> None:
    status, document = alice.upload(
        pdf_make(), "report.pdf", title="The report", tags="a,b", metadata='{"year": 2025}'
    )
    assert status == 202
    assert document["status"] == "queued"
    assert (document["page_count"], document["error_code"]) == (None, None)
    drain()
    _, document = alice.get(f"/documents/{document['id']}")
    assert (document["status"], document["page_count"]) == ("ready", 3)
    assert document["progress"] == {
        "total": 3,
        "rendered": 3,
        "read": 3,
        "embedded": 3,
        "failed": 0,
    }
    assert (document["tags"], document["metadata"]) == (["a", "b"], {"year": 2025})
    status, answer = alice.post("/search", {"query": "holiday of workers"})
    assert status == 200
    hit = answer["hits"][0]
    assert (hit["rank"], hit["page"]["number"]) == (1, 2)
    assert hit["page"]["document"] == {
        "id": document["id"],
        "title": "The report",
        "filename": "report.pdf",
        "collection": "reports",
        "type": "pdf",
    }
    assert set(answer) == {
        *("hits", "is_answered", "message", "facets"),
        *("stages", "index", "took_ms"),
    }
    picture = alice._client.get(hit["page"]["image_url"])
    assert picture.status_code == 200
    assert picture["Content-Type"] in {"image/jpeg", "image/webp"}
    assert alice.delete(f"/documents/{document['id']}") == 204
    assert alice.get(f"/documents/{document['id']}")[0] == 404


def test_get_search_is_the_same_search(people: People, alice: Api) -> None:
    ingested(people, pdf_make(), "report.pdf")
    _, by_get = alice.get("/search", q="turbine blades", limit=2)
    _, by_post = alice.post("/search", {"query": "turbine blades", "limit": 2})
    assert [h["page"]["id"] for h in by_get["hits"]] == [h["page"]["id"] for h in by_post["hits"]]


def test_picture_parts_in_every_spelling(people: People, alice: Api) -> None:
    ingested(people, png_make("Emergency exit plan"), "exit.png")
    uri = "data:image/png;base64," + base64.b64encode(png_make("Emergency exit plan")).decode()
    for part in (
        {"type": "image_url", "image_url": {"url": uri}},
        {"type": "image_url", "image_url": uri},
        {"type": "image", "image": uri},
    ):
        status, answer = alice.post("/search", {"query": {"content": [part]}})
        assert status == 200
        assert answer["hits"][0]["page"]["document"]["filename"] == "exit.png"


def test_duplicate_upload_is_said(people: People, alice: Api) -> None:
    alice.upload(pdf_make(), "a.pdf")
    status, document = alice.upload(pdf_make(), "b.pdf")
    assert (status, document["duplicate"], document["filename"]) == (200, True, "a.pdf")


def test_collections_are_made_and_listed(people: People, alice: Api) -> None:
    status, made = alice.post("/collections", {"name": "Board decks"})
    assert (status, made["slug"], made["visibility"]) == (201, "board-decks", "private")
    _, listed = alice.get("/collections")
    assert {row["slug"] for row in listed} == {"reports", "board-decks"}


def test_pages_are_listed_and_shown(people: People, alice: Api) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    _, pages = alice.get(f"/documents/{document.pk}/pages", limit=2)
    assert (pages["total"], [page["number"] for page in pages["items"]]) == (3, [1, 2])
    _, page = alice.get(f"/pages/{pages['items'][0]['id']}")
    assert page["words"][0][0] == "The"
    _, documents = alice.get("/documents", collection="reports", status="ready")
    assert [row["id"] for row in documents["items"]] == [document.pk]


@pytest.mark.parametrize(
    ("path", "body", "field", "code"),
    [
        ("/search", {"query": ""}, "query", "empty_query"),
        ("/search", {"query": {"content": []}}, "query", "empty_query"),
        ("/search", {"query": "x" * 20_000}, "query", "query_too_long"),
        ("/search", {"query": "x", "limit": 0}, "limit", "invalid_limit"),
        ("/search", {"query": "x", "colour": 1}, "colour", "invalid_field"),
        (
            "/search",
            {"query": "x", "filters": {"author": ["me"]}},
            "filters.author",
            "invalid_field",
        ),
        (
            "/search",
            {"query": "x", "filters": {"collections": ["nope"]}},
            "filters.collections",
            "unknown_collection",
        ),
        (
            "/search",
            {"query": {"content": [{"type": "image_url", "image_url": "http://x/a.png"}]}},
            "query.content.0",
            "invalid_image",
        ),
        ("/search", {"query": {"content": [{"type": "sound"}]}}, "query.content.0", "invalid_part"),
        ("/collections", {"name": ""}, "name", "invalid_name"),
        ("/collections", {"name": "x", "slug": "reports"}, "slug", "slug_taken"),
    ],
)
def test_bad_input_names_the_field(
    people: People, alice: Api, path: str, body: Any, field: str, code: str
) -> None:
    status, problem = alice.post(path, body)
    assert (status, problem["code"], problem["field"]) == (422, code, field)
    assert problem["detail"]


def test_query_picture_that_is_none_or_a_bomb(people: People, alice: Api) -> None:
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    bomb = header + (50_000).to_bytes(4) + (50_000).to_bytes(4) + b"\x08\x02\x00\x00\x00" + b"0" * 8
    for content in (b"not a picture", bomb):
        uri = "data:image/png;base64," + base64.b64encode(content).decode()
        status, problem = alice.post(
            "/search", {"query": {"content": [{"type": "image", "image": uri}]}}
        )
        assert status == 422
        assert problem["detail"]


@pytest.mark.parametrize(
    ("content", "filename", "fields", "code"),
    [
        (b"", "a.pdf", {}, "empty_file"),
        (b"plain text", "a.pdf", {}, "unsupported_type"),
        (b"%PDF-1.7 x", "a.pdf", {"collection": "nope"}, "unknown_collection"),
        (b"%PDF-1.7 x", "a.pdf", {"metadata": "[1]"}, "invalid_metadata"),
        (b"%PDF-1.7 x", "a.pdf", {"metadata": "{"}, "invalid_metadata"),
        (b"%PDF-1.7 x", "a.pdf", {"tags": "[1]"}, "invalid_tags"),
    ],
)
def test_refused_uploads(
    people: People, alice: Api, content: bytes, filename: str, fields: dict[str, str], code: str
) -> None:
    status, problem = alice.upload(content, filename, **fields)
    assert (status, problem["code"]) == (422, code)
    assert not Document.objects.exists()


def test_missing_file_field_is_named(people: People, alice: Api) -> None:
    response = alice._client.post("/api/v1/documents", {"collection": "reports"})
    assert (response.status_code, response.json()["field"]) == (422, "file")
    assert response["Content-Type"] == "application/problem+json"


def test_invalid_json_and_unknown_path(people: People, alice: Api) -> None:
    client = alice._client
    response = client.post("/api/v1/search", "{", content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_no_key_wrong_key_and_lower_case_scheme(people: People, key: str) -> None:
    assert Client().get("/api/v1/collections").status_code == 401
    wrong = Client(headers={"authorization": "Bearer sk_wrong"}).get("/api/v1/collections")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "not_authenticated")
    right = Client(headers={"authorization": f"bearer {key}"}).get("/api/v1/collections")
    assert right.status_code == 200


def test_session_may_read_but_needs_csrf_to_write(people: People) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.alice)
    assert client.get("/api/v1/collections").status_code == 200
    refused = client.post("/api/v1/collections", {"name": "X"}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")


def test_key_without_scope_is_refused(people: People) -> None:
    secret = access.apikey_create(name="reader", user=people.alice, scopes=("search",))
    status, problem = Api(secret).upload(pdf_make(), "a.pdf")
    assert (status, problem["code"]) == (403, "missing_scope")


def test_every_get_endpoint_by_every_person(people: People) -> None:
    """alice and bob read, charlie gets 404 for everything that is alice's."""
    document = ingested(people, pdf_make(), "report.pdf")
    page = document.pages.get(number=1)
    paths = [
        path.replace("{document_id}", str(document.pk)).replace("{page_id}", str(page.pk))
        for path, operations in json.loads(json.dumps(api.get_openapi_schema()))["paths"].items()
        if "get" in operations and "{" in path
    ]
    assert len(paths) >= 5
    for path in paths:
        assert people.client("alice").get(path).status_code == 200, path
        assert people.client("bob").get(path).status_code == 200, path
        assert people.client("charlie").get(path).status_code == 404, path
        assert Client().get(path).status_code == 401, path


def test_viewer_may_not_delete_and_stranger_does_not_know(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    path = f"/api/v1/documents/{document.pk}"
    assert people.client("bob").delete(path).status_code == 403
    assert people.client("charlie").delete(path).status_code == 404
    assert people.client("bob").post(f"{path}/retry").status_code == 403
    assert Document.objects.filter(pk=document.pk).exists()


def test_picture_is_revalidated_not_sent_again(people: People) -> None:
    document = ingested(people, pdf_make(["one"]), "one.pdf")
    path = f"/api/v1/pages/{document.pages.get().pk}/thumbnail"
    client = people.client("alice")
    first = client.get(path)
    again = client.get(path, headers={"if-none-match": first["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_healthz_and_docs_answer(db: None) -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}
    ready = Client().get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["parts"]["database"] is True
    assert ready.json()["parts"]["worker_embed"] is False
    assert Client().get("/api/v1/openapi.json").status_code == 200


READS = {
    "/collections": {"search", "upload", "collections"},
    "/documents": {"search", "upload"},
    "/documents/{document}": {"search", "upload"},
    "/documents/{document}/pages": {"search"},
    "/pages/{page}": {"search"},
    "/pages/{page}/image": {"search"},
    "/pages/{page}/thumbnail": {"search"},
    "/pages/{page}/similar": {"search"},
    "/search?q=blades": {"search"},
    "/judgements?q=blades": {"search"},
}
# For administrators; for others there is nothing there.
ADMINISTRATORS_READ = {"/meters/recall"}


def test_scopes_narrow_reading(people: People) -> None:
    document = ingested(people, pdf_make(["The blades"]), "report.pdf")
    named = {"document": document.pk, "page": document.pages.get().pk}
    operations = json.loads(json.dumps(api.get_openapi_schema()))["paths"].items()
    count = sum("get" in methods for _, methods in operations)
    assert len(READS) + len(ADMINISTRATORS_READ) == count
    for scope in sorted(access.ALL_SCOPES):
        secret = access.apikey_create(name=scope, user=people.alice, scopes=(scope,))
        client = Client(headers={"authorization": f"Bearer {secret}"})
        for path, scopes in READS.items():
            response = client.get("/api/v1" + path.format(**named))
            assert response.status_code == (200 if scope in scopes else 403), (scope, path)


HUGE = 10**30
NUL, HALF = "a\x00b", "a\ud800"


@pytest.mark.parametrize("path", ["/documents/{}", "/documents/{}/pages", "/pages/{}"])
@pytest.mark.parametrize("number", [HUGE, 2**63, "9" * 5000])
def test_numbers_that_no_row_has_are_not_found(
    people: People, alice: Api, path: str, number: object
) -> None:
    assert alice._client.get("/api/v1" + path.format(number)).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/search", {"query": HALF}, "query"),
        ("/search", {"query": {"content": [{"type": "text", "text": HALF}]}}, "query"),
        ("/search", {"query": "x", "filters": {"collections": [NUL]}}, "filters.collections"),
        ("/search", {"query": "x", "filters": {"collections": [HALF]}}, "filters.collections"),
        ("/search", {"query": "x", "filters": {"tags": [NUL]}}, "filters.tags"),
        ("/search", {"query": "x", "filters": {"tags": [HALF]}}, "filters.tags"),
        ("/search", {"query": "x", "filters": {"documents": [HUGE]}}, "filters.documents"),
        ("/search", {"query": "x", "filters": {"documents": [-HUGE]}}, "filters.documents"),
        ("/search", {"query": {"content": [{"type": []}]}}, "query.content.0"),
        (
            "/search",
            {"query": {"content": [{"type": "image", "image": "data:image/png;base64,é"}]}},
            "query.content.0",
        ),
        ("/collections", {"name": NUL}, "name"),
        ("/collections", {"name": HALF}, "name"),
        ("/collections", {"name": "x", "slug": NUL}, "slug"),
    ],
)
def test_what_cannot_be_stored_names_the_field(
    people: People, alice: Api, path: str, body: Any, field: str
) -> None:
    status, problem = alice.post(path, json.dumps(body))
    assert status == 422, problem
    assert problem["field"].startswith(field)


@pytest.mark.parametrize("path", ["/search?q=a&collection=%00", "/documents?collection=%00"])
def test_nul_in_an_address(people: People, alice: Api, path: str) -> None:
    response = alice._client.get(f"/api/v1{path}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_text")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"collection": NUL}, "collection"),
        ({"tags": '["\\ud800"]'}, "tags"),
        ({"tags": '["\\u0000"]'}, "tags"),
        ({"metadata": '{"a": NaN}'}, "metadata"),
        ({"metadata": '{"a": 1e400}'}, "metadata"),
        ({"metadata": '{"a": "\\ud800"}'}, "metadata"),
        ({"metadata": '{"\\u0000": 1}'}, "metadata"),
        ({"metadata": '{"a": ' + "[" * 4000 + "]" * 4000 + "}"}, "metadata"),
    ],
)
def test_labels_that_cannot_be_stored(
    people: People, alice: Api, fields: dict[str, str], field: str
) -> None:
    status, problem = alice.upload(pdf_make(), "a.pdf", **fields)
    assert (status, problem["field"]) == (422, field)
    assert not Document.objects.exists()


MULTIPART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'
BAD = "bad_request"


@pytest.mark.parametrize(
    ("path", "content_type", "body", "status", "code"),
    [
        ("/search", "application/json", b" " * (22 * 1024**2), 413, "body_too_large"),
        ("/search", "application/json", b'"\xff"', 400, BAD),
        ("/documents", "multipart/form-data", b"x", 400, BAD),
        ("/documents", "application/x-www-form-urlencoded; charset=latin-1", b"a=1", 400, BAD),
        ("/documents", "multipart/form-data; boundary=b; charset=hex", MULTIPART, 400, BAD),
        ("/documents", "multipart/form-data; boundary=b", MULTIPART[:-8] * 2000, 400, BAD),
    ],
)
def test_bodies_that_cannot_be_read(
    people: People,
    alice: Api,
    path: str,
    content_type: str,
    body: bytes,
    status: int,
    code: str,
) -> None:
    response = alice._client.generic("POST", f"/api/v1{path}", body, content_type)
    assert response["Content-Type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_nothing_is_uploaded_into_the_demo_set(people: People, alice: Api) -> None:
    Collection.objects.update(is_demo=True)
    status, problem = alice.upload(pdf_make(), "a.pdf")
    assert (status, problem["code"], problem["field"]) == (422, "demo_collection", "collection")
    assert not Document.objects.exists()
