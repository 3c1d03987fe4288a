"""A page over which the engine dies each time: it alone is given up, the others are embedded."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.test import override_settings

from embedding_engine.engine import load_engine
from embedding_engine.wire import embed_response, parse_embed_body
from searchapp import indexing, jobs
from searchapp.models import Job, Page
from tests.app.conftest import People, drain, pdf_make, upload

pytestmark = pytest.mark.django_db(transaction=True)


class _Fragile(BaseHTTPRequestHandler):
    """An Embed v2 server over the real wire code that drops the line when it reads 'poison'."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "poison" in json.dumps(body):
            self.close_connection = True
            return
        engine = load_engine("fake")
        call = parse_embed_body(body, spec=engine.spec)
        self._answer(embed_response(call, engine.embed(call.request), spec=engine.spec))

    def do_GET(self) -> None:
        self._answer({"models": []})

    def _answer(self, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def fragile_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Fragile) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_only_the_page_that_kills_the_engine_is_given_up(people: People, fragile_url: str) -> None:
    document = upload(people, pdf_make(["good one", "the poison pill", "good two"]), "pill.pdf")
    away = {"EMBEDDING_INPROCESS": False, "ENGINE_URL": fragile_url, "EMBEDDING_MODEL": "fake"}
    with override_settings(**away):
        indexing.index_rebuild()
        for _ in range(jobs.MAX_ATTEMPTS):
            drain()
            Page.objects.update(not_before=None)
    states = {page.number: (page.state, page.error_code) for page in document.pages.all()}
    assert states == {1: ("done", ""), 2: ("failed", "engine_lost"), 3: ("done", "")}
    document.refresh_from_db()
    assert document.status == "partial"
    assert Job.objects.get().state == Job.State.DONE
