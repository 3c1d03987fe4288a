"""Pages of an earlier version are brought to this one by one command that may be stopped."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from searchapp import ingest, renewal
from searchapp.access import SYSTEM
from searchapp.models import Index, Page, PageKeypoints, Renewal
from searchapp.search.query import text_query
from searchapp.search.search import search_pages
from tests.app.conftest import People, ingested, pdf_make

pytestmark = pytest.mark.django_db

TEXTS = [f"The blades of turbine AB-123{n} are inspected in every spring." for n in range(5)]


@pytest.fixture
def old(people: People) -> list[Page]:
    """As before this version: other words, no language, no points; a new page after them."""
    ingested(people, pdf_make(TEXTS), "old.pdf")
    pages = list(Page.objects.order_by("pk"))
    Page.objects.update(language="")
    PageKeypoints.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE searchapp_page SET search = to_tsvector('english', text)")
    Renewal.objects.create(until=pages[-1].pk)
    ingested(people, pdf_make(["A page of this version."]), "new.pdf")
    return pages


def found_words(text: str) -> set[int]:
    hits = search_pages(actor=SYSTEM, query=text_query(text)).hits
    return {hit.page.pk for hit in hits if "words" in hit.reasons}


def test_all_pages_of_before_are_renewed(old: list[Page]) -> None:
    assert renewal.renewal_note().startswith("5 pages")
    assert found_words("ab1233") == set()
    said = StringIO()
    call_command("renew", stdout=said)
    assert "5 of 5 pages" in said.getvalue()
    assert found_words("ab1233") == {old[3].pk}
    renewed = Page.objects.filter(pk__in=[page.pk for page in old], language="en")
    assert renewed.exclude(keypoints=None).count() == 5
    assert renewal.renewal_note() == ""
    said = StringIO()
    call_command("renew", stdout=said)
    assert said.getvalue() == "Nothing is left to renew\n"


def test_what_was_stopped_goes_on_where_it_was(
    old: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    fill = ingest.keypoints_fill

    def stopping(pages: list[Page]) -> None:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.extend(page.pk for page in pages)
        fill(pages)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ingest, "keypoints_fill", stopping)
        renewal.pages_renew(lambda line: None, batch=2)
    assert renewal.renewal_note().startswith("3 pages")
    assert renewal.pages_renew(lambda line: None, batch=2) == 3


def test_an_index_of_before_is_named(old: list[Page]) -> None:
    said: list[str] = []
    Index.objects.update(created_at=Renewal.objects.get().created_at)
    renewal.pages_renew(said.append)
    assert "index build --again" not in said[-1]
    later = Renewal.objects.create(until=old[-1].pk)
    assert Index.objects.get().created_at < later.created_at
    renewal.pages_renew(said.append)
    assert "index build --again" in said[-1]
