"""Thumbs: a verdict on a hit, taken back by a second press; with pictures; nobody else's."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from searchapp.models import Judgement, Page
from searchapp.models.judgements import JudgedQuery
from tests.app.conftest import People, ingested, png_make

pytestmark = pytest.mark.django_db


def press(client: Client, page: Page, verdict: str, **picture: object) -> str:
    """The thumbs as they are after a press."""
    url = f"/pages/{page.pk}/judge?q=vacation"
    response = client.post(url, {"verdict": verdict, **picture})
    assert response.status_code == 200
    return response.content.decode()


def pressed(html: str) -> list[bool]:
    """Whether thumb up and thumb down are pressed."""
    return [piece.startswith("true") for piece in html.split('aria-pressed="')[1:]]


def test_a_press_is_kept_and_a_second_one_takes_it_back(page: Page, bob: Client) -> None:
    assert pressed(press(bob, page, "yes")) == [True, False]
    assert bob.get("/?q=vacation").context["cards"][0].verdict is True
    assert pressed(press(bob, page, "no")) == [False, True]
    judgement = Judgement.objects.get()
    assert (judgement.query.text, judgement.is_relevant) == ("vacation", False)
    assert '"verdict": "none"' in press(bob, page, "no")
    assert pressed(press(bob, page, "none")) == [False, False]
    assert not Judgement.objects.exists()
    assert bob.get("/?q=vacation").context["cards"][0].verdict is None


def test_one_sees_only_what_one_pressed(page: Page, bob: Client, alice: Client) -> None:
    press(bob, page, "yes")
    assert alice.get("/?q=vacation").context["cards"][0].verdict is None
    assert bob.get("/?q=holidays").context["cards"][0].verdict is None


def test_a_picture_can_be_the_question(people: People, page: Page, bob: Client) -> None:
    def picture() -> SimpleUploadedFile:
        return SimpleUploadedFile("q.png", png_make("Paid vacation"), "image/png")

    url = f"/pages/{page.pk}/judge"
    assert bob.post(url, {"verdict": "yes", "picture": picture()}).status_code == 200
    assert JudgedQuery.objects.get().picture
    found = bob.post("/", {"picture": picture()})
    verdicts = {card.hit.page.pk: card.verdict for card in found.context["cards"]}
    assert verdicts[page.pk] is True


def test_a_part_of_a_page_can_be_the_question(people: People, page: Page, bob: Client) -> None:
    drawn = ingested(people, png_make("Paid vacation"), "sign.png").pages.get()
    question = f"part={drawn.pk},0,0,1000,900"
    assert bob.post(f"/pages/{page.pk}/judge?{question}", {"verdict": "no"}).status_code == 200
    cards = bob.get(f"/?{question}").context["cards"]
    assert {c.hit.page.pk: c.verdict for c in cards}[page.pk] is False


def test_what_cannot_be_judged(page: Page, bob: Client, charlie: Client) -> None:
    url = f"/pages/{page.pk}/judge"
    assert bob.post(f"{url}?q=x", {"verdict": "maybe"}).status_code == 422
    assert bob.post(url, {"verdict": "yes"}).status_code == 422
    assert charlie.post(f"{url}?q=x", {"verdict": "yes"}).status_code == 404
    assert not Judgement.objects.exists()


def test_no_thumbs_where_no_question_was_asked_in_words_or_picture(page: Page, bob: Client) -> None:
    assert b'class="thumbs"' in bob.get("/?q=vacation").content
    assert b'class="thumbs"' not in bob.get(f"/?like={page.pk}").content
