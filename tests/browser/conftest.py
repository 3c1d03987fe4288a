"""A real Chromium for the tests marked `browser`; skipped, and why is said, where there is none."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.app.conftest import pdf_make, png_make
from tests.stack import RunningStack

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Milliseconds for an upload to become ready, or a picture to be read, on a busy machine.
READY = 120_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from the PATH, or the one that CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on the PATH (apt install chromium), and CHROMIUM is not set")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, stack: RunningStack) -> Iterator[BrowserContext]:
    """A browser that opened the link which `make up` printed."""
    context = browser.new_context(base_url=stack.base_url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(stack.signin_url)
    page.wait_for_url(f"{stack.base_url}/")
    page.close()
    yield context
    context.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A PDF, a picture of words, a file that is no PDF, and a PDF that is broken inside."""
    folder = tmp_path_factory.mktemp("files")
    contents = {
        "field-guide.pdf": pdf_make(),
        "exit.png": png_make("Emergency exit plan"),
        "fake.pdf": b"these are only words",
        "broken.pdf": b"%PDF-1.7\nnothing follows",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


@pytest.fixture(scope="session")
def uploaded(signed_in: BrowserContext, files: list[Path]) -> dict[str, str]:
    """Everything uploaded through the page; what each row said in the end."""
    page = signed_in.new_page()
    page.goto("/upload")
    page.get_by_label("Name").fill("Field notes")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#collection")).to_have_value("field-notes")
    page.locator("#files").set_input_files(files)
    expect(page.locator(".upload-row")).to_have_count(len(files))
    expect(page.locator("#summary")).to_have_text("4 files · 2 ready · 2 failed", timeout=READY)
    said = {
        row.locator("[data-name]").inner_text(): row.locator(".status").inner_text()
        for row in page.locator(".upload-row").all()
    }
    page.close()
    return said


@pytest.fixture
def page(signed_in: BrowserContext) -> Iterator[Page]:
    """A tab; the test fails when a script of ours throws or the policy refuses something."""
    tab = signed_in.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "console",
        lambda message: (
            faults.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield tab
    tab.close()
    assert faults == []
