"""The search page: words, pictures, filters, fragments, and errors in words."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from searchapp.models import Collection, Document, Index, Page
from searchapp.web.asked import MAX_PICTURE
from tests.app.conftest import People, ingested, pdf_make, png_make, upload

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def test_finds_the_page_and_says_why(page: Page, bob: Client) -> None:
    response = bob.get("/?q=paid+vacation+of+employees")
    card = response.context["cards"][0]
    assert card.hit.page == page
    assert card.url == f"/pages/{page.pk}?q=paid+vacation+of+employees"
    assert card.place == "page 2 of 3"
    assert card.reason == "Its words: paid, vacation, employees · meaning: 1st"
    text = response.content.decode()
    assert "<mark>vacation</mark>" in text
    assert "3 pages searched" in text
    assert f'src="/api/v1/pages/{page.pk}/thumbnail"' in text
    assert f"/api/v1/pages/{page.pk}/image {page.width}w" in text
    assert "still being read" not in text


def test_documents_on_their_way_are_told(people: People, bob: Client, charlie: Client) -> None:
    upload(people, pdf_make(["Not read yet."]), "waits.pdf")
    assert "1 document is still being read" in bob.get("/?q=vacation").content.decode()
    assert "still being read" not in charlie.get("/?q=vacation").content.decode()


def test_weak_hits_stand_apart(people: People, bob: Client) -> None:
    other = [
        "Turbines corrode.",
        "Bats fly by night.",
        "The menu of the canteen.",
        "Bicycle lanes.",
    ]
    ingested(people, pdf_make(["Employees have 25 days of paid vacation.", *other]), "mix.pdf")
    found = bob.get("/?q=how+many+days+of+paid+vacation+do+employees+have&view=pages")
    good, weak = found.context["good"], found.context["weak"]
    assert [card.hit.page.number for card in good] == [1]
    assert len(weak) == 4
    text = found.content.decode()
    assert text.index(f"/pages/{good[0].hit.page.pk}?") < text.index('<details class="weak">')
    assert all(
        text.index(f"/pages/{c.hit.page.pk}?") > text.index('<details class="weak">') for c in weak
    )
    assert "No page answers this well" not in text


def test_what_nothing_answers_is_said(people: People, bob: Client) -> None:
    ingested(
        people,
        pdf_make(["Turbines corrode.", "Bicycle lanes.", "The budget of 2025.", "Canteen menu."]),
        "a.pdf",
    )
    found = bob.get("/?q=how+do+zebras+court+in+the+opera&view=pages")
    assert found.context["good"] == []
    text = found.content.decode()
    assert "No page answers this well" in text
    assert "Nothing certain found" in text
    assert '<details class="weak">' not in text
    assert 'class="hit hit-weak' in text


def test_filters_show_their_counts_and_what_is_chosen(
    people: People, report: Document, bob: Client
) -> None:
    ingested(people, png_make("Paid vacation"), "beach.png", tags=("summer",))
    menus = {m.name: m for m in bob.get("/?q=paid+vacation&without_tag=x").context["menus"]}
    counts = {option.value: option.count for option in menus["type"].options}
    assert counts["image"] == 1
    assert counts["pdf"] >= 1
    assert counts["deck"] == 0
    assert menus["tag"].summary == "not x"
    chosen = bob.get("/?q=paid+vacation&type=pdf&type=deck&without_type=image").context["menus"]
    assert next(m.summary for m in chosen if m.name == "type") == "PDF +2"


def test_one_value_is_left_out(people: People, report: Document, bob: Client) -> None:
    beach = ingested(people, png_make("Paid vacation"), "beach.png", tags=("summer",))
    for unwanted in ("type=image", "tag=summer", f"document={beach.pk}"):
        cards = bob.get(f"/?q=paid+vacation&without_{unwanted}").context["cards"]
        assert {card.hit.page.document for card in cards} == {report}


def test_pages_as_questions(report: Document, page: Page, bob: Client, charlie: Client) -> None:
    similar = bob.get(f"/?like={page.pk}&view=pages")
    assert page not in [card.hit.page for card in similar.context["cards"]]
    assert "More like <b>yearly report</b>, 2" in similar.content.decode()
    part = bob.get(f"/?part={page.pk},0,0,1000,1000")
    assert part.context["cards"][0].hit.page == page
    assert 'viewBox="0 0 ' in part.content.decode()
    for question in (f"like={page.pk}", f"part={page.pk},0,0,1000,1000"):
        refused = charlie.get(f"/?{question}")
        assert refused.status_code == 422
        assert b"yearly" not in refused.content


def test_fragments_bring_filters_and_chips_along(page: Page, bob: Client) -> None:
    part = bob.get(f"/?q=vacation&like={page.pk}&type=pdf", headers=HTMX).content.decode()
    assert '<div id="chips" hx-swap-oob="innerHTML">' in part
    assert f'name="like" value="{page.pk}" checked' in part
    refused = bob.get("/?q=vacation&type=film", headers=HTMX).content.decode()
    assert "hx-swap-oob" not in refused


def test_a_picture_is_in_the_address_by_the_name_its_browser_gave(
    report: Document, bob: Client
) -> None:
    picture = SimpleUploadedFile("q.png", png_make("Paid vacation"), "image/png")
    asked = {"q": "days", "picture": picture, "picture_key": "k3y", "weight": "70"}
    found = bob.post("/", asked, headers=HTMX)
    assert found["HX-Push-Url"] == "/?q=days&picture_key=k3y&weight=70"
    assert found.context["cards"][0].url.endswith("?q=days&picture_key=k3y&weight=70")
    again = bob.get(found["HX-Push-Url"])
    assert "cards" not in again.context
    assert "The picture of this question is not here" in again.content.decode()
    assert 'id="picture-key" value="k3y"' in again.content.decode()


def test_failures_offer_to_try_again(report: Document, bob: Client, settings: Settings) -> None:
    settings.EMBEDDING_INPROCESS, settings.ENGINE_URL = False, "http://127.0.0.1:9"
    away = bob.get("/?q=vacation", headers=HTMX)
    assert away.status_code == 503
    assert "The model is loading or busy" in away.content.decode()
    assert "data-again" in away.content.decode()
    settings.EMBEDDING_INPROCESS = True
    Index.objects.update(state=Index.State.RETIRED)
    lost = bob.get("/?q=vacation", headers=HTMX).content.decode()
    assert "no_index" in lost
    assert "Try again" in lost
    assert "data-again" not in lost


def test_also_links_lead_to_the_other_pages(people: People, bob: Client) -> None:
    texts = ["Paid vacation.", "Vacation is paid.", "Paid vacation days."]
    similar = ingested(people, pdf_make(texts), "similar.pdf")
    card = bob.get("/?q=vacation").context["cards"][0]
    others = similar.pages.exclude(pk=card.hit.page.pk)
    assert {link.url for link in card.also} == {f"/pages/{p.pk}?q=vacation" for p in others}


def test_all_pages_are_ungrouped(report: Document, bob: Client) -> None:
    assert len(bob.get("/?q=vacation").context["cards"]) == 1
    assert len(bob.get("/?q=vacation&view=pages").context["cards"]) == 3


def test_document_text_is_escaped(people: People, bob: Client) -> None:
    ingested(people, pdf_make(["<script>alert(1)</script> vacation & holiday"]), "evil<b>.pdf")
    text = bob.get("/?q=vacation+script").content.decode()
    assert "<script>alert" not in text
    assert "&lt;<mark>script</mark>&gt;" in text
    assert "evil<b>" not in text


def test_htmx_gets_only_the_results(report: Document, bob: Client) -> None:
    part = bob.get("/?q=vacation", headers=HTMX).content.decode()
    assert "<html" not in part
    assert 'class="cards"' in part
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in bob.get("/?q=vacation", headers=back).content.decode()


def test_picture_and_words_together(people: People, report: Document, bob: Client) -> None:
    drawn = ingested(people, png_make("Emergency exit plan"), "exit.png")
    picture = SimpleUploadedFile("q.png", png_make("Emergency exit plan"), "image/png")
    found = bob.post("/", {"picture": picture}, headers=HTMX)
    assert found.context["cards"][0].hit.page.document == drawn
    assert found["HX-Push-Url"] == "false"
    picture.seek(0)
    both = bob.post("/", {"q": "emergency exit", "picture": picture}, headers=HTMX)
    assert both.context["cards"][0].hit.page.document == drawn


@pytest.mark.parametrize("content", [b"not a picture", b"\0" * (MAX_PICTURE + 1)])
def test_bad_pictures_are_refused_in_words(content: bytes, people: People, bob: Client) -> None:
    response = bob.post("/", {"picture": SimpleUploadedFile("q.png", content)}, headers=HTMX)
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("q=x&collection=nowhere", 422),
        ("q=x&type=nothing", 422),
        ("q=x&view=circle", 422),
        ("q=x&limit=-1", 422),
        ("q=x&limit=0", 422),
        ("q=x&limit=100000", 422),
        ("q=x&document=y", 422),
        ("q=x&sort=best", 422),
        ("q=x&uploaded_from=soon", 422),
        ("q=x&page_from=0", 422),
        ("like=" + "9" * 30, 422),
        ("part=1,0,0,0,0", 422),
        ("part=999,0,0,500,500", 422),
        ("q=-storm", 422),
        ("q=" + "x" * 10_001, 422),
        ("q=%00", 422),
        ("q=+++", 200),
    ],
)
def test_what_cannot_be_asked(parameters: str, status: int, people: People, bob: Client) -> None:
    response = bob.get(f"/?{parameters}", headers=HTMX)
    assert response.status_code == status
    assert ('role="alert"' in response.content.decode()) == (status != 200)


def test_filters(people: People, report: Document, bob: Client) -> None:
    tagged = ingested(people, png_make("vacation"), "beach.png", tags=("summer",))
    for filters in ("type=image", "tag=summer", f"document={tagged.pk}"):
        cards = bob.get(f"/?q=vacation&{filters}").context["cards"]
        assert [card.hit.page.document for card in cards] == [tagged]
    assert len(bob.get("/?q=vacation&collection=reports").context["cards"]) == 2
    assert "in “beach”" in bob.get(f"/?document={tagged.pk}").content.decode()


def test_empty_states(people: People, bob: Client, charlie: Client) -> None:
    assert "Nothing to search yet" in bob.get("/").content.decode()
    assert "No page is searchable yet" in charlie.get("/?q=anything").content.decode()
    Collection.objects.update(is_demo=True)
    start = bob.get("/").content.decode()
    assert 'class="pill"' in start
    assert "Nothing to search yet" not in start


def test_more_hits_on_request(people: People, bob: Client) -> None:
    ingested(people, pdf_make([f"vacation rule {n}" for n in range(30)]), "rules.pdf")
    first = bob.get("/?q=vacation&view=pages")
    assert len(first.context["cards"]) == 24
    assert "limit=48" in first.context["more_query"]
    more = bob.get(f"/?{first.context['more_query']}")
    assert len(more.context["cards"]) == 30
    assert more.context["more_limit"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/?q=%00",
        "/?q=a&collection=%00",
        "/?q=a&tag=%00",
        "/?q=" + "x" * 10_001,
        "/documents?collection=%00",
        "/documents?status=%00",
        "/pages/{page}?q=%00",
        "/pages/{page}?q=" + "x" * 10_001,
    ],
)
def test_what_cannot_be_asked_is_said(alice: Client, page: Page, path: str) -> None:
    answer = alice.get(path.format(page=page.pk))
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


@pytest.mark.parametrize("path", ["/pages/{}", "/documents/{}", "/documents/{}/original"])
@pytest.mark.parametrize("number", [2**63, 10**30])
def test_numbers_that_no_row_has(alice: Client, report: Document, path: str, number: int) -> None:
    assert alice.get(path.format(number)).status_code == 404


def test_forms_with_nul(alice: Client, report: Document) -> None:
    assert alice.post("/collections/new", {"name": "a\x00"}).status_code == 422
    body = {"file": SimpleUploadedFile("a.pdf", b"%PDF-1.7"), "collection": "\x00"}
    assert alice.post("/upload", body).status_code == 422
