"""The main job on the running product: over HTTP, with real workers, engine, LibreOffice."""

import io
import shutil
import time

import httpx
import pytest
from pptx import Presentation
from pptx.util import Inches

from tests.app.conftest import pdf_make, png_make
from tests.product.api_client import ApiClient, api_client, command
from tests.stack import RunningStack, wait_until

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> ApiClient:
    return api_client(stack, "main-job")


def deck_make() -> bytes:
    """Three slides; the second is hidden, the third has speaker notes."""
    deck = Presentation()
    for number, text in enumerate(("Welcome aboard", "Secret budget", "Wind park layout")):
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        slide.shapes.add_textbox(Inches(1), Inches(1), Inches(8), Inches(1)).text_frame.text = text
        if number == 1:
            slide._element.set("show", "0")
        if number == 2:
            slide.notes_slide.notes_text_frame.text = "Mention the lighthouse anecdote"
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def test_ready_means_every_part(stack: RunningStack) -> None:
    def is_ready() -> bool:
        return httpx.get(f"{stack.base_url}/readyz").status_code == 200

    wait_until(is_ready, 30, "all parts ready")
    parts = httpx.get(f"{stack.base_url}/readyz").json()["parts"]
    assert set(parts) >= {"database", "pgvector", "redis", "model", "worker_render", "worker_embed"}


def test_pdf_and_picture_are_found_by_meaning(client: ApiClient) -> None:
    slug = client.collection("meaning")
    answers = [
        client.upload(slug, "report.pdf", pdf_make()),
        client.upload(slug, "exit.png", png_make("Emergency exit plan")),
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    for answer in answers:
        assert client.wait(answer.json()["id"])["status"] == "ready"
    bounds = {"filters": {"collections": [slug]}}
    assert client.search("how much holiday do workers get", **bounds)[0]["page"]["number"] == 2
    escape = client.search("how to leave the building in a fire", **bounds)[0]
    assert escape["page"]["document"]["filename"] == "exit.png"
    picture = client.http.get(escape["page"]["image_url"].removeprefix("/api/v1"))
    assert picture.headers["content-type"].startswith("image/")


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_deck_keeps_hidden_slides_and_notes(client: ApiClient) -> None:
    slug = client.collection("decks")
    document = client.wait(client.upload(slug, "deck.pptx", deck_make()).json()["id"])
    assert (document["status"], document["page_count"]) == ("ready", 3)
    pages = client.http.get(f"/documents/{document['id']}/pages").json()["items"]
    assert [page["hidden"] for page in pages] == [False, True, False]
    assert pages[2]["notes"] == "Mention the lighthouse anecdote"
    hits = client.search("anecdote about a lighthouse", filters={"collections": [slug]})
    assert hits[0]["page"]["number"] == 3


def test_bad_files_are_named_and_good_ones_go_on(client: ApiClient) -> None:
    slug = client.collection("mixed")
    good = client.upload(slug, "good.pdf", pdf_make(["A good page."]))
    bad = client.upload(slug, "bad.pdf", b"%PDF-1.7\n" + b"not really a pdf " * 30)
    none = client.upload(slug, "none.pdf", b"")
    assert (none.status_code, none.json()["code"]) == (422, "empty_file")
    assert client.wait(good.json()["id"])["status"] == "ready"
    if bad.status_code == 202:
        document = client.wait(bad.json()["id"])
        assert (document["status"], bool(document["error_code"])) == ("failed", True)
    else:
        assert bad.json()["code"]


def test_embed_worker_away_waits_visibly_and_search_answers(
    stack: RunningStack, client: ApiClient
) -> None:
    slug = client.collection("patience")
    client.wait(client.upload(slug, "first.pdf", pdf_make(["Whales sing."])).json()["id"])
    stack.hold("embed")
    try:
        texts = [f"Chapter {i} of the waiting book." for i in range(5)]
        waiting = client.upload(slug, "second.pdf", pdf_make(texts)).json()["id"]
        document = client.wait(waiting, until="embedding")
        time.sleep(3)
        document = client.document(waiting)
        assert (document["status"], document["progress"]["embedded"]) == ("embedding", 0)
        hits = client.search("songs of sea mammals", filters={"collections": [slug]})
        assert hits[0]["page"]["document"]["filename"] == "first.pdf"
    finally:
        stack.release("embed")
    assert client.wait(waiting)["status"] == "ready"
    assert client.page_numbers(waiting) == [1, 2, 3, 4, 5]


def test_commands_reach_the_running_product(stack: RunningStack, client: ApiClient) -> None:
    slug = client.collection("commands")
    done = client.upload(slug, "c.pdf", pdf_make(["The bakery opens at six."])).json()["id"]
    client.wait(done)
    found = command(stack, "search", "when", "can", "I", "buy", "bread", "--collection", slug)
    assert "c p. 1" in found
