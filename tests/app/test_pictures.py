"""Queries that are cut out of a page: found by what they look like, within rights and filters."""

import io
import random
from io import StringIO

import pypdfium2
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from PIL import Image
from pytest_django import Settings
from reportlab.pdfgen.canvas import Canvas

from searchapp import engine, library, storage
from searchapp.access import SYSTEM, Actor
from searchapp.errors import InvalidInput
from searchapp.models import Document, Page, PageKeypoints, Renewal
from searchapp.search.query import Filters, Query
from searchapp.search.scope import scope_get
from searchapp.search.search import search_pages
from searchapp.search.stages.pictures import pictures_search
from searchapp.search.types import PictureHit, Scope
from tests.app.conftest import People, ingested
from tests.crops import crop_make, jpeg

pytestmark = pytest.mark.django_db

EVERYWHERE = Scope(None)
SURE = 0.5
TWINS = 4


def deck_make(seed: int, pages: int = TWINS) -> bytes:
    """Pages of one template: a crowded head and foot that all share, shapes of their own between.

    Without words, so that only the picture tells them apart. The last page is blank.
    """
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(720, 540), invariant=True)
    for number in range(pages):
        for low, high in ((0, 60), (480, 540)):
            _shapes(canvas, random.Random(seed), low, high, count=40)
        _shapes(canvas, random.Random(1000 * seed + number), 70, 470, count=45)
        canvas.showPage()
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _shapes(canvas: Canvas, rng: random.Random, low: int, high: int, *, count: int) -> None:
    tallest = (high - low) // 3
    for _ in range(count):
        canvas.setFillColorRGB(*(rng.random() for _ in range(3)))
        x, y = rng.randrange(660), rng.randrange(low, high - tallest)
        if rng.random() < 0.5:
            canvas.rect(x, y, rng.randrange(8, 60), rng.randrange(8, tallest), fill=1)
        else:
            canvas.circle(x, y, rng.randrange(4, tallest), fill=1)


def picture(page: Page) -> bytes:
    return storage.file_read(page.image)


def found(query: bytes, scope: Scope = EVERYWHERE) -> list[PictureHit]:
    return pictures_search([query], scope, pages=10)


@pytest.fixture
def deck(people: People, settings: Settings) -> Document:
    """Its pages bear no words."""
    settings.OCR = False
    return ingested(people, deck_make(1), "twins.pdf")


def test_a_crop_finds_its_page_before_its_twins(deck: Document) -> None:
    """With the shared head in the crop: it makes twins likely, and the page still first."""
    for page in deck.pages.filter(number__lte=TWINS):
        hits = found(crop_make(picture(page), page.number, share=(0.3, 0.6)))
        assert hits[0].page_id == page.pk
        assert hits[0].score > SURE
        assert all(hit.inliers < hits[0].inliers for hit in hits[1:])


def test_shared_parts_alone_find_the_twins_too(deck: Document) -> None:
    with Image.open(io.BytesIO(picture(deck.pages.get(number=1)))) as opened:
        head = jpeg(opened.crop((0, 0, opened.width, round(opened.height * 0.11))))
    assert len([hit for hit in found(head) if hit.score > SURE]) == TWINS


def test_a_foreign_picture_finds_nothing_confident(deck: Document) -> None:
    foreign = rendered(deck_make(2))
    for seed in range(5):
        assert all(hit.score < 0.3 for hit in found(crop_make(foreign, seed)))
    blank = deck.pages.get(number=TWINS + 1)
    assert PageKeypoints.objects.get(page=blank).words == []
    assert found(picture(blank)) == []


def rendered(pdf: bytes) -> bytes:
    """The first page as a JPEG, which the app knows nothing of."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return jpeg(document[0].render(scale=1.8).to_pil())
    finally:
        document.close()


def test_only_what_one_may_see_and_asked_for(people: People, deck: Document) -> None:
    query = picture(deck.pages.get(number=2))
    own = scope_get(Actor.from_user(people.bob), Filters())
    none = scope_get(Actor.from_user(people.charlie), Filters())
    assert found(query, own)[0].page_id == deck.pages.get(number=2).pk
    assert found(query, none) == []
    later = scope_get(Actor.from_user(people.bob), Filters(page_from=3))
    numbers = {Page.objects.get(pk=hit.page_id).number for hit in found(query, later)}
    assert numbers <= {3, 4}
    other = ingested(people, deck_make(3, pages=1), "other.pdf")
    elsewhere = scope_get(SYSTEM, Filters(documents=(other.pk,)))
    assert found(query, elsewhere) == []


def test_pages_of_others_do_not_push_out_ones_own(people: People, deck: Document) -> None:
    """More twins in a collection that bob may not see than are looked at of a word."""
    page = deck.pages.get(number=2)
    others = library.collection_create(actor=SYSTEM, name="Others")
    document = Document.objects.create(collection=others, title="Copies", bytes=1, sha256="0")
    copies = Page.objects.bulk_create(
        Page(document=document, number=number + 1, step=Page.Step.DONE) for number in range(250)
    )
    # Before those of the deck in the table, where the look-up begins.
    points = PageKeypoints.objects.get(page=page)
    PageKeypoints.objects.all().delete()
    for copy in [*copies, page]:
        points.page, points.collection = copy, copy.document.collection
        points.save(force_insert=True)
    own = scope_get(Actor.from_user(people.bob), Filters())
    assert [hit.page_id for hit in found(picture(page), own)] == [page.pk]


def test_several_pictures_find_the_pages_of_each(deck: Document) -> None:
    pages = [deck.pages.get(number=number) for number in (1, 4)]
    queries = [picture(page) for page in pages]
    hits = pictures_search(queries, EVERYWHERE, pages=2)
    assert {hit.page_id for hit in hits} == {page.pk for page in pages}
    deck.pages.update(step=Page.Step.EMBED)  # not yet to be found
    assert pictures_search(queries, EVERYWHERE, pages=2) == []


@pytest.mark.parametrize("content", [b"", b"no picture", jpeg(Image.new("RGB", (64, 64)))[:200]])
def test_what_is_no_picture_is_refused(people: People, content: bytes) -> None:
    with pytest.raises(InvalidInput):
        found(content)


def test_points_go_with_their_document(people: People, deck: Document) -> None:
    assert PageKeypoints.objects.count() == TWINS + 1
    library.document_delete(actor=Actor.from_user(people.alice), document=deck)
    assert not PageKeypoints.objects.exists()


def test_backfill_makes_what_the_upload_makes(deck: Document) -> None:
    before = dict(PageKeypoints.objects.values_list("page_id", "points"))
    PageKeypoints.objects.filter(page__number__gt=2).delete()
    left_by_an_upgrade()
    after = dict(PageKeypoints.objects.values_list("page_id", "points"))
    assert {k: bytes(v) for k, v in after.items()} == {k: bytes(v) for k, v in before.items()}


def left_by_an_upgrade() -> None:
    Renewal.objects.create(until=Page.objects.latest("pk").pk)
    call_command("renew", stdout=StringIO())


def test_a_broken_or_lost_page_picture_is_no_obstacle(deck: Document) -> None:
    PageKeypoints.objects.all().delete()
    broken, lost, whole = deck.pages.order_by("number")[:3]
    default_storage.delete(broken.image)
    default_storage.save(broken.image, ContentFile(b"broken"))
    default_storage.delete(lost.image)
    left_by_an_upgrade()
    assert PageKeypoints.objects.count() == TWINS
    assert PageKeypoints.objects.get(page=broken).words == []
    assert not PageKeypoints.objects.filter(page=lost).exists()
    assert PageKeypoints.objects.get(page=whole).words


def test_search_puts_the_page_that_shows_the_picture_first(people: People, deck: Document) -> None:
    """No words on the crop, and a model that only reads."""
    page = deck.pages.get(number=3)
    crop = crop_make(picture(page), 3)
    bob = Actor.from_user(people.bob)
    answer = search_pages(actor=bob, query=Query(parts=(engine.ImagePart(crop),)))
    assert answer.hits[0].page.pk == page.pk
    assert "picture" in answer.hits[0].reasons
    parts = (engine.TextPart("twins"), engine.ImagePart(crop))
    unseen = search_pages(actor=bob, query=Query(parts=parts, image_weight=0))
    assert all("picture" not in hit.reasons for hit in unseen.hits)
