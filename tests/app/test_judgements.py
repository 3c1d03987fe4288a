"""Verdicts on hits: whose they are, what they may name, that they and their pictures go again."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from searchapp import access, engine, judging
from searchapp.access import SYSTEM, Actor
from searchapp.errors import Forbidden, InvalidInput, NotFound, TooMany
from searchapp.models import JudgedQuery, Judgement, Page
from tests.app.conftest import People, ingested, pdf_make, png_make, upload

pytestmark = pytest.mark.django_db
WORDS = (engine.TextPart("turbine blades"),)
URL = "/api/v1/judgements"


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    """Pictures of each test in a folder of its own."""
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def page(people: People) -> Page:
    """The first page of alice's report, not embedded: verdicts need no vectors."""
    document = upload(people, pdf_make(), "report.pdf")
    return Page.objects.create(document=document, number=1, text="turbine")


def judge(actor: Actor, page: Page, verdict: bool | None, parts: Any = WORDS) -> Judgement | None:
    return judging.judgement_set(actor=actor, parts=parts, page_id=page.pk, is_relevant=verdict)


def pictures() -> list[str]:
    folders = default_storage.listdir("judged")[0] if default_storage.exists("judged") else []
    return [name for folder in folders for name in default_storage.listdir(f"judged/{folder}")[1]]


def test_each_person_has_one_verdict_that_may_change_and_be_taken_back(
    people: People, page: Page
) -> None:
    alice, bob = Actor.from_user(people.alice), Actor.from_user(people.bob)
    judge(alice, page, True)
    judge(alice, page, False)
    judge(bob, page, True)
    assert judging.verdicts_get(actor=alice, parts=WORDS) == {page.pk: False}
    assert judging.verdicts_get(actor=bob, parts=WORDS) == {page.pk: True}
    assert JudgedQuery.objects.count() == 1
    judge(alice, page, None)
    judge(alice, page, None)
    assert judging.verdicts_get(actor=alice, parts=WORDS) == {}
    assert judging.verdicts_get(actor=bob, parts=WORDS) == {page.pk: True}
    judge(bob, page, None)
    assert not JudgedQuery.objects.exists()


def test_a_stranger_judges_nothing_and_reads_nothing(people: People, page: Page) -> None:
    charlie = Actor.from_user(people.charlie)
    with pytest.raises(NotFound):
        judge(charlie, page, True)
    assert not JudgedQuery.objects.exists()
    bob = Actor.from_user(people.bob)
    judge(bob, page, True)
    people.collection.memberships.filter(user=people.bob).delete()
    assert judging.verdicts_get(actor=bob, parts=WORDS) == {}
    with pytest.raises(Forbidden):
        judge(Actor(user_id=people.alice.pk, scopes=frozenset({"upload"})), page, True)


def test_a_picture_is_kept_re_encoded_and_goes_with_its_query(
    people: People,
    page: Page,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    alice = Actor.from_user(people.alice)
    sent = png_make("Emergency exit plan")
    parts = (engine.TextPart("exit"), engine.ImagePart(sent))
    judge(alice, page, True, parts)
    query = JudgedQuery.objects.get()
    words, picture = judging.query_parts(query)
    assert words.text == "exit"
    assert isinstance(picture, engine.ImagePart)
    assert picture.content[:2] == b"\xff\xd8"
    assert judging.query_kind(query) == "mixed"
    assert len(pictures()) == 1
    assert judging.verdicts_get(actor=alice, parts=parts) == {page.pk: True}
    assert judging.verdicts_get(actor=alice, parts=parts[:1]) == {}
    with django_capture_on_commit_callbacks(execute=True):
        judge(alice, page, None, parts)
    assert pictures() == []


def bomb() -> bytes:
    """A PNG whose header promises 2.5 thousand million pixels."""
    content = bytearray(png_make())
    content[16:24] = (50_000).to_bytes(4, "big") * 2
    return bytes(content)


@pytest.mark.parametrize("content", [b"", b"no picture", pdf_make(), png_make()[:200], bomb()])
def test_what_is_no_picture_is_refused_and_not_kept(
    people: People, page: Page, content: bytes
) -> None:
    with pytest.raises(InvalidInput) as caught:
        judge(Actor.from_user(people.alice), page, True, (engine.ImagePart(content),))
    assert caught.value.field == "query"
    assert pictures() == []
    assert not JudgedQuery.objects.exists()


def test_what_cannot_be_searched_is_not_judged(people: People, page: Page) -> None:
    with pytest.raises(InvalidInput) as caught:
        judge(Actor.from_user(people.bob), page, True, [engine.TextPart("-x")])
    assert (caught.value.code, caught.value.field) == ("empty_query", "query")
    assert not JudgedQuery.objects.exists()


def test_verdicts_are_bounded_in_number_and_in_time(
    people: People, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = Actor.from_user(people.alice)
    monkeypatch.setattr(judging, "MAX_VERDICTS_A_MINUTE", 2)
    for word in ("one", "two"):
        judge(alice, page, True, (engine.TextPart(word),))
    with pytest.raises(TooMany):
        judge(alice, page, True, (engine.TextPart("three"),))
    judge(Actor.from_user(people.bob), page, True)
    Judgement.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    judge(alice, page, True, (engine.TextPart("three"),))
    monkeypatch.setattr(judging, "MAX_VERDICTS", 3)
    with pytest.raises(InvalidInput) as caught:
        judge(alice, page, True, (engine.TextPart("four"),))
    assert caught.value.code == "too_many_judgements"


def test_queries_whose_pages_or_people_are_gone_are_pruned(people: People, page: Page) -> None:
    judge(SYSTEM, page, True)
    judge(Actor.from_user(people.bob), page, True, (engine.TextPart("other"),))
    assert judging.judged_queries_prune() == 0
    people.bob.delete()
    assert judging.judged_queries_prune() == 1
    page.delete()
    assert judging.judged_queries_prune() == 1
    assert not JudgedQuery.objects.exists()


# --- the API ---------------------------------------------------------------------------------

Post = Callable[..., Any]


@pytest.fixture
def post(client: Client) -> Post:
    """POST a body as the holder of a key."""

    def send(key: str, body: Any) -> Any:
        content = body if isinstance(body, str) else json.dumps(body)
        return client.post(
            URL, content, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}"
        )

    return send


def got(client: Client, key: str, **asked: str) -> Any:
    return client.get(URL, asked, HTTP_AUTHORIZATION=f"Bearer {key}")


def test_api_sets_shows_and_takes_back(
    people: People, page: Page, client: Client, post: Post
) -> None:
    keys = {
        name: access.apikey_create(name=name, user=getattr(people, name))
        for name in ("alice", "bob", "charlie")
    }
    body = {"query": "turbine blades", "page": page.pk, "is_relevant": True}
    assert post(keys["alice"], body).status_code == 200
    shown = [{"page": page.pk, "is_relevant": True}]
    assert got(client, keys["alice"], q="turbine blades").json() == {"items": shown}
    assert got(client, keys["bob"], q="turbine blades").json() == {"items": []}
    refused = post(keys["charlie"], body)
    assert (refused.status_code, refused.json()["code"]) == (404, "page_not_found")
    assert post(keys["alice"], body | {"is_relevant": None}).json()["is_relevant"] is None
    assert got(client, keys["alice"], q="turbine blades").json() == {"items": []}


def test_api_takes_the_parts_of_a_search(people: People, page: Page, key: str, post: Post) -> None:
    picture = "data:image/png;base64," + base64.b64encode(png_make()).decode()
    content = [
        {"type": "text", "text": "exit"},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    body = {"query": {"content": content}, "page": page.pk, "is_relevant": False}
    assert post(key, body).status_code == 200
    query = JudgedQuery.objects.get()
    assert query.text == "exit"
    with default_storage.open(query.picture) as file, Image.open(file) as stored:
        assert stored.format == "JPEG"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"page": 10**9}, 404, None),
        ({"page": 2**70}, 404, None),
        ({"page": -1}, 404, None),
        ({"page": "x"}, 422, "page"),
        ({"page": True}, 422, "page"),
        ({"page": None}, 422, "page"),
        ({"is_relevant": "yes"}, 422, "is_relevant"),
        ({"is_relevant": 1}, 422, "is_relevant"),
        ({"extra": 1}, 422, "extra"),
        ({"query": ""}, 422, "query"),
        ({"query": "a" * 100_000}, 422, "query"),
        ({"query": "a\x00b"}, 422, "query"),
        ({"query": {"content": []}}, 422, "query"),
        ({"query": {"content": [{"type": "image_url"}]}}, 422, "query.content.0"),
        ({"query": 3}, 422, "query"),
    ],
)
def test_api_refuses_with_the_field(
    page: Page, key: str, post: Post, change: dict[str, Any], status: int, field: str | None
) -> None:
    body = {"query": "turbine", "page": page.pk, "is_relevant": True} | change
    response = post(key, body)
    assert response.status_code == status, response.content
    problem = response.json()
    assert problem["code"]
    if field is not None:
        assert problem["field"].startswith(field)
    assert not Judgement.objects.exists()


def test_api_needs_a_verdict_and_a_known_parameter(
    page: Page, key: str, client: Client, post: Post
) -> None:
    assert post(key, {"query": "x", "page": page.pk}).status_code == 422
    assert post(key, "{").status_code in (400, 422)
    assert got(client, key).status_code == 422
    assert got(client, key, q="").status_code == 422
    assert got(client, key, q="x", page="3").status_code == 422
    assert client.get(URL, {"q": "x"}).status_code == 401


def test_api_of_an_uploading_key_is_refused(people: People, page: Page, post: Post) -> None:
    upload_only = access.apikey_create(name="up", user=people.alice, scopes=("upload",))
    body = {"query": "turbine", "page": page.pk, "is_relevant": True}
    assert post(upload_only, body).status_code == 403


def test_judging_pages_that_were_searched(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    first = document.pages.get(number=1)
    judge(Actor.from_user(people.bob), first, True)
    document.delete()
    assert not Judgement.objects.exists()
