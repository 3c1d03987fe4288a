"""A page over which the engine dies each time: it alone is given up, the others are embedded."""

import json
from collections.abc import Iterator

import pytest
from django.test import override_settings

from embedding_engine.api import answer
from embedding_engine.engine import load_engine
from searchapp import jobs
from searchapp.models import Job, Page
from tests.app.conftest import People, drain, index_switch, pdf_make, upload
from tests.http_server import LocalServer, SilentHandler, serving

pytestmark = pytest.mark.django_db(transaction=True)


class _Fragile(SilentHandler):
    """An Embed v2 server over the real wire code that drops the line when it reads 'poison'."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"poison" in body:
            self.close_connection = True
            return
        self._answer(answer(load_engine("fake"), method="POST", path=self.path, body=body).body)

    def do_GET(self) -> None:
        self._answer(json.dumps({"models": []}).encode())

    def _answer(self, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def fragile_url() -> Iterator[str]:
    server = LocalServer(_Fragile)
    with serving(server):
        yield server.url


def test_only_the_page_that_kills_the_engine_is_given_up(people: People, fragile_url: str) -> None:
    index_switch("fake")
    document = upload(people, pdf_make(["good one", "the poison pill", "good two"]), "pill.pdf")
    with override_settings(EMBEDDING_INPROCESS=False, ENGINE_URL=fragile_url):
        for _ in range(jobs.MAX_ATTEMPTS):
            drain()
            Page.objects.update(not_before=None)
    states = {page.number: (page.state, page.error_code) for page in document.pages.all()}
    assert states == {1: ("done", ""), 2: ("failed", "engine_lost"), 3: ("done", "")}
    document.refresh_from_db()
    assert document.status == "partial"
    assert Job.objects.get().state == Job.State.DONE
