"""The main job as a person does it: sign in by link, upload, search, look at the page."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import READY

pytestmark = [pytest.mark.browser, pytest.mark.stack]


def test_each_file_says_what_became_of_it(uploaded: dict[str, str]) -> None:
    assert uploaded["field-guide.pdf"] == "ready, 3 pages"
    assert uploaded["exit.png"] == "ready, 1 page"
    assert uploaded["fake.pdf"].startswith("not accepted")
    assert "(unsupported_type)" in uploaded["fake.pdf"]
    assert uploaded["broken.pdf"].startswith(("failed", "not accepted"))


def test_the_same_file_again_is_said(
    uploaded: dict[str, str], page: Page, files: list[Path]
) -> None:
    page.goto("/upload?collection=field-notes")
    page.locator("#files").set_input_files(files[0])
    expect(page.locator(".status-label")).to_have_text("already there · ready, 3 pages")


def test_words_find_the_page_and_the_viewer_marks_them(
    uploaded: dict[str, str], page: Page
) -> None:
    page.goto("/")
    page.get_by_role("searchbox").fill("how much paid vacation do employees get")
    page.keyboard.press("Enter")
    card = page.locator(".hit").first
    expect(card.locator(".hit-place")).to_contain_text("page 2 of 3")
    expect(card.locator("mark").first).to_have_text("Employees")
    assert page.url.endswith("/?q=how%20much%20paid%20vacation%20do%20employees%20get")
    assert is_drawn(page, ".hit-picture img")

    card.locator(".hit-picture").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("field guide")
    assert is_drawn(page, ".sheet img")
    expect(page.locator(".marks rect").first).to_be_visible()
    page.keyboard.press("m")
    expect(page.locator(".marks rect").first).to_be_hidden()

    page.keyboard.press("ArrowRight")
    expect(page.locator(".viewer-title p")).to_contain_text("page 3 of 3")
    page.keyboard.press("Escape")
    expect(page.locator(".hit").first).to_be_visible()


def test_a_picture_finds_its_like(uploaded: dict[str, str], page: Page, files: list[Path]) -> None:
    page.goto("/")
    page.locator("#picture").set_input_files(files[1])
    expect(page.locator("#picture-chip")).to_be_visible()
    expect(page.locator(".hit-title").first).to_have_text("exit", timeout=READY)
    page.get_by_role("searchbox").fill("turbine blades corrode")
    page.get_by_role("button", name="Remove the picture").click()
    expect(page.locator(".hit-title").first).to_have_text("field guide")
    expect(page.locator("#picture-chip")).to_be_hidden()


def test_original_comes_back_unchanged(
    uploaded: dict[str, str], page: Page, files: list[Path]
) -> None:
    page.goto("/documents")
    page.get_by_role("link", name="field guide", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Original").click()
    assert download.value.suggested_filename == "field-guide.pdf"
    assert Path(download.value.path()).read_bytes() == files[0].read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(uploaded: dict[str, str], page: Page, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    filters = "/?q=vacation&type=pdf&without_tag=some-long-tag&metadata=department:sales"
    for url in ("/", "/?q=vacation", filters, "/documents", "/upload"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, url
    page.goto("/?q=vacation")
    page.locator(".hit-picture").first.click()
    expect(page.locator(".sheet img")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(246, 247, 249)", "dark": "rgb(17, 19, 24)"}[scheme]


def test_theme_choice_is_kept(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.evaluate("localStorage.clear()")


def test_every_picture_and_field_has_a_name(uploaded: dict[str, str], page: Page) -> None:
    for url in ("/", "/?q=vacation", "/documents", "/upload"):
        page.goto(url)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, img")]
              .filter((e) => e.tagName === "IMG" ? !e.hasAttribute("alt")
                : !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
              .map((e) => e.outerHTML)"""
        )
        assert nameless == [], url
        assert page.locator("h1").count() == 1, url


def is_drawn(page: Page, selector: str) -> bool:
    """Whether the first such picture has arrived and has pixels."""
    picture = page.locator(selector).first
    expect(picture).to_be_visible()
    picture.evaluate("(img) => img.decode()")
    return bool(picture.evaluate("(img) => img.naturalWidth > 100"))
