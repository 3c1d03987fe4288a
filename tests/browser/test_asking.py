"""Asking in every way a person can: pictures, parts, examples, filters, verdicts; by keyboard."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import READY

pytestmark = [pytest.mark.browser, pytest.mark.stack]

PASTE = """(data) => {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], "clip.png", { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


@pytest.fixture
def asked(uploaded: dict[str, str], page: Page, files: list[Path]) -> Page:
    """A search by a pasted picture, answered."""
    page.goto("/")
    page.evaluate(PASTE, base64.b64encode(files[1].read_bytes()).decode())
    expect(page.locator(".hit-title").first).to_have_text("exit", timeout=READY)
    return page


@pytest.fixture
def found(uploaded: dict[str, str], page: Page) -> Page:
    """All pages that words find."""
    page.goto("/?q=vacation&view=pages")
    expect(page.locator(".hit-place").first).to_contain_text("page 2 of 3")
    return page


def card(page: Page, text: str) -> Locator:
    """The link of the hit whose place says `text`."""
    return page.locator(".hit", has_text=text).locator("[data-card]")


def unfold(page: Page) -> None:
    """Weak hits are folded when there are better ones."""
    for fold in page.locator("details.weak:not([open]) > summary").all():
        fold.click()


def test_a_picture_is_weighed_against_words_and_found_again_on_the_way_back(asked: Page) -> None:
    slider = asked.get_by_role("slider")
    expect(slider).to_be_hidden()
    asked.get_by_role("searchbox").fill("emergency")
    expect(slider).to_be_visible()
    slider.focus()
    asked.keyboard.press("ArrowRight")
    # The server says so: the address after a POST is what it understood.
    expect(asked).to_have_url(re.compile(r"q=emergency.*picture_key=\w+.*weight=55"))
    asked.locator("[data-card]").first.click()
    expect(asked.locator("#viewer")).to_be_visible()
    asked.keyboard.press("Escape")
    expect(asked.locator("#picture-chip")).to_be_visible()
    expect(asked.locator(".hit-title").first).to_have_text("exit", timeout=READY)
    expect(slider).to_have_value("55")


def test_a_part_of_the_picture_is_cut_by_keyboard(asked: Page) -> None:
    width = "(img) => img.decode().then(() => img.naturalWidth)"
    before = asked.locator("#picture-preview").evaluate(width)
    asked.get_by_role("button", name="Search by a part of the picture").click()
    expect(asked.locator("#crop .box")).to_be_focused()
    asked.keyboard.press("Shift+ArrowLeft")
    with asked.expect_response(lambda response: response.request.method == "POST") as answer:
        asked.keyboard.press("Enter")
    assert answer.value.status == 200
    expect(asked.locator("#crop")).to_be_hidden()
    share = asked.locator("#picture-preview").evaluate(width) / before
    assert share == pytest.approx(0.58, abs=0.01)


def test_more_and_less_like_this_by_keyboard(found: Page) -> None:
    unfold(found)
    card(found, "page 3 of 3").focus()
    found.keyboard.press("+")
    expect(found.locator(".chip-like")).to_contain_text("More like field guide, 3")
    unfold(found)
    card(found, "page 1 of 3").focus()
    found.keyboard.press("-")
    expect(found.locator(".chip-unlike")).to_contain_text("Less like field guide, 1")
    assert "like=" in found.url
    assert "unlike=" in found.url
    found.reload()
    found.locator(".chip-like input").focus()
    found.keyboard.press("Space")
    expect(found.locator(".chip-like")).to_have_count(0)
    expect(found.locator(".chip-unlike")).to_be_visible()


def test_similar_pages_by_one_key(found: Page) -> None:
    card(found, "page 2 of 3").focus()
    found.keyboard.press("s")
    found.wait_for_url("**/?*like=*")
    expect(found.locator(".chip-like")).to_contain_text("field guide, 2")
    unfold(found)
    expect(found.locator(".hit-place").first).to_be_visible()
    expect(found.locator(".hit", has_text="page 2 of 3")).to_have_count(0)
    found.go_back()
    expect(found.get_by_role("searchbox")).to_have_value("vacation")


def test_a_value_is_excluded_and_its_menu_stays_open(uploaded: dict[str, str], page: Page) -> None:
    page.goto("/?q=emergency+exit")
    expect(page.locator(".hit-title").first).to_have_text("exit")
    page.locator("#filter-type summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Not Image").focus()
    page.keyboard.press("Space")
    expect(page).to_have_url("/?q=emergency+exit&without_type=image".replace("+", "%20"))
    expect(page.locator("#filter-type summary")).to_contain_text("not Image")
    expect(page.get_by_role("checkbox", name="Not Image")).to_be_focused()
    unfold(page)
    expect(page.locator(".hit-title", has_text="exit")).to_have_count(0)
    page.get_by_role("link", name="Reset").click()
    expect(page.locator(".hit-title").first).to_have_text("exit")


def test_thumbs_are_kept_and_taken_back(found: Page) -> None:
    up = found.get_by_role("button", name="Answers the question").first
    up.focus()
    found.keyboard.press("Enter")
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(up).to_be_focused()
    found.reload()
    expect(up).to_have_attribute("aria-pressed", "true")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "false")


def test_thumbs_on_what_a_picture_found(asked: Page) -> None:
    down = asked.get_by_role("button", name="Does not answer the question").first
    with asked.expect_response("**/judge*") as answer:
        down.click()
    assert answer.value.status == 200
    expect(down).to_have_attribute("aria-pressed", "true")


def test_a_part_of_a_page_is_asked_by_keyboard(found: Page) -> None:
    card(found, "page 2 of 3").click()
    expect(found.locator("#viewer")).to_be_visible()
    found.keyboard.press("c")
    expect(found.get_by_text("Drag a box around")).to_be_visible()
    found.keyboard.press("ArrowUp")
    found.keyboard.press("Enter")
    found.wait_for_url("**/?part=*,300,280,700,680")
    expect(found.locator(".chip-part")).to_contain_text("Shows this part of field guide, 2")
    expect(found.locator(".answer-line")).to_be_visible(timeout=READY)


def test_a_box_is_drawn_with_the_pointer(found: Page) -> None:
    card(found, "page 2 of 3").click()
    found.get_by_role("button", name="Part").click()
    area = found.locator(".part .box").bounding_box()
    assert area is not None
    found.mouse.move(area["x"] + area["width"] / 4, area["y"] + area["height"] / 4)
    found.mouse.down()
    found.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2, steps=3)
    found.mouse.up()
    link = found.get_by_role("link", name="Search by this part")
    edges = (link.get_attribute("href") or "").split(",")[1:]
    assert [int(edge) for edge in edges] == pytest.approx([250, 250, 500, 500], abs=6)


def test_escape_gives_up_and_leaves_what_was_there(found: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    found.route("**/?q=never*", hold)
    found.get_by_role("searchbox").fill("never answered")
    found.keyboard.press("Enter")
    expect(found.locator("#results")).to_have_attribute("aria-busy", "true")
    expect(found.locator(".hit").first).to_be_visible()
    found.keyboard.press("Escape")
    expect(found.locator("#results")).not_to_have_attribute("aria-busy", "true")
    expect(found.locator(".hit-place").first).to_contain_text("page 2 of 3")
    assert len(held) == 1


def test_the_filters_are_a_sheet_on_a_phone(found: Page) -> None:
    found.set_viewport_size({"width": 390, "height": 844})
    sheet = found.get_by_role("group", name="Filters")
    expect(sheet).to_be_hidden()
    found.get_by_role("button", name="Filters", exact=True).click()
    expect(sheet).to_be_visible()
    found.locator("#filter-type summary").click()
    found.locator("#filter-type [name=type][value=pdf]").check()
    expect(found).to_have_url("/?q=vacation&type=pdf&view=pages")
    expect(sheet).to_be_visible()
    assert found.evaluate("document.documentElement.scrollWidth") <= 390
    found.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
