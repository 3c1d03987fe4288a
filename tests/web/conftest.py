"""alice owns, bob views, charlie sees nothing, root is superuser; one ingested PDF to look at."""

import pytest
from django.test import Client

from searchapp.models import Document, Page
from tests.app.conftest import People, ingested, pdf_make, people

__all__ = ["people"]


@pytest.fixture
def report(people: People) -> Document:
    """Alice's three pages, ready."""
    return ingested(people, pdf_make(), "yearly-report.pdf")


@pytest.fixture
def page(report: Document) -> Page:
    """The page about vacation."""
    return report.pages.get(number=2)


@pytest.fixture
def alice(people: People) -> Client:
    return people.client("alice")


@pytest.fixture
def bob(people: People) -> Client:
    return people.client("bob")


@pytest.fixture
def charlie(people: People) -> Client:
    return people.client("charlie")
