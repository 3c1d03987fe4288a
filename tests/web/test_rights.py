"""Every URL of the table by everybody: nobody, stranger, viewer, owner; GET and POST."""

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from searchapp.models import Collection, Document, Page
from searchapp.web.urls import urlpatterns
from tests.app.conftest import People

pytestmark = pytest.mark.django_db

OPEN = {"sign-in", "sign-in-link"}
ALL = {pattern.name: pattern for pattern in urlpatterns}

# Status for (charlie, bob, alice); a new URL fails until it is listed here. Deleting comes last.
READS = {
    "search": (200, 200, 200),
    "page": (404, 200, 200),
    "documents": (200, 200, 200),
    "documents-progress": (200, 200, 200),
    "document": (404, 200, 200),
    "document-original": (404, 200, 200),
    "upload": (200, 200, 200),
}
CHANGES = {
    "sign-out": (302, 302, 302),
    "demo-remove": (403, 403, 403),
    "collection-new": (422, 422, 422),
    # Without a verdict there is nothing to keep.
    "judge": (422, 422, 422),
    # Nothing failed, so there is nothing to try again.
    "document-retry": (404, 403, 422),
    "document-delete": (404, 403, 302),
}


def url_of(pattern: URLPattern, report: Document) -> str:
    """The URL with the ids of `report`."""
    page = report.pages.get(number=2)
    values = {"document_id": report.pk, "page_id": page.pk, "secret": "nothing"}
    names = pattern.pattern.converters
    return reverse(str(pattern.name), kwargs={name: values[name] for name in names})


def test_the_table_is_covered() -> None:
    assert set(ALL) == OPEN | set(READS) | set(CHANGES)


def test_nobody_gets_in(report: Document, client: Client) -> None:
    for name in set(ALL) - OPEN:
        url = url_of(ALL[name], report)
        for response in (client.get(url), client.post(url)):
            assert response.status_code == 302, name
            assert response["Location"].startswith("/sign-in?next="), name
        assert client.get(url, headers={"Accept": "application/json"}).status_code == 401, name
        assert client.get(url, headers={"HX-Request": "true"})["HX-Redirect"] == "/sign-in", name
    assert Document.objects.filter(pk=report.pk).exists()


def test_reading(report: Document, people: People) -> None:
    for name, statuses in READS.items():
        url = url_of(ALL[name], report)
        for person, status in zip(("charlie", "bob", "alice"), statuses, strict=True):
            response = people.client(person).get(url)
            assert response.status_code == status, (name, person)
            assert "no-store" in response["Cache-Control"], name


def test_changing(report: Document, people: People) -> None:
    for name, statuses in CHANGES.items():
        url = url_of(ALL[name], report)
        for person, status in zip(("charlie", "bob", "alice"), statuses, strict=True):
            assert people.client(person).get(url).status_code == 405, (name, person)
            assert people.client(person).post(url).status_code == status, (name, person)
    assert not Document.objects.exists()


def test_changes_need_the_csrf_token(report: Document, people: People) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.root)
    for name in {*CHANGES, "upload", "search", "sign-in-link"}:
        assert strict.post(url_of(ALL[name], report)).status_code == 403, name
    assert Document.objects.filter(pk=report.pk).exists()


def test_a_stranger_learns_nothing(report: Document, page: Page, charlie: Client) -> None:
    for url in ("/", "/?q=vacation", "/documents", "/upload"):
        text = charlie.get(url).content.decode()
        assert "yearly report" not in text
        assert "Reports" not in text
    rows = charlie.get(f"/documents/progress?ids={report.pk}").json()
    assert rows == {"documents": []}
    assert charlie.get("/?q=vacation&collection=reports").status_code == 422
    assert "yearly" not in charlie.get(f"/?document={report.pk}").content.decode()


def test_only_a_superuser_removes_the_demo(people: People, report: Document) -> None:
    Collection.objects.filter(pk=people.collection.pk).update(is_demo=True)
    assert b"Remove the demo set" not in people.client("alice").get("/").content
    root = people.client("root")
    assert b"Remove the demo set" in root.get("/").content
    assert root.post("/demo/remove").status_code == 302
    assert not Document.objects.exists()
