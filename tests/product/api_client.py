"""A small HTTP client of the JSON API, as an engineer would write one, for the whole product."""

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx

from searchapp.environment import PROJECT_DIR
from tests.stack import RunningStack

FINAL = {"ready", "partial", "failed"}


@dataclass
class ApiClient:
    """Bearer client of a running product."""

    http: httpx.Client

    def collection(self, slug: str) -> str:
        """Make a collection; its slug."""
        answer = self.http.post("/collections", json={"name": slug, "slug": slug})
        assert answer.status_code == 201, answer.text
        return slug

    def upload(self, collection: str, filename: str, content: bytes) -> httpx.Response:
        """POST /documents."""
        return self.http.post(
            "/documents", data={"collection": collection}, files={"file": (filename, content)}
        )

    def document(self, document_id: int) -> dict[str, Any]:
        """GET /documents/{id}."""
        body: dict[str, Any] = self.http.get(f"/documents/{document_id}").json()
        return body

    def wait(self, document_id: int, seconds: float = 120, until: str = "") -> dict[str, Any]:
        """Poll until the document is final (or has status `until`)."""
        wanted = {until} if until else FINAL
        deadline = time.monotonic() + seconds
        while (document := self.document(document_id))["status"] not in wanted:
            assert time.monotonic() < deadline, f"still {document}"
            time.sleep(0.1)
        return document

    def page_numbers(self, document_id: int) -> list[int]:
        """Numbers of all pages of a document, in the order of the API."""
        pages = self.http.get(f"/documents/{document_id}/pages", params={"limit": 500}).json()
        return [page["number"] for page in pages["items"]]

    def search(self, query: Any, **bounds: Any) -> list[dict[str, Any]]:
        """Hits of POST /search."""
        answer = self.http.post("/search", json={"query": query, **bounds})
        assert answer.status_code == 200, answer.text
        hits: list[dict[str, Any]] = answer.json()["hits"]
        return hits


def command(stack: RunningStack, *arguments: str) -> str:
    """Output of a `manage.py` command against the running product."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT_DIR,
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def api_client(stack: RunningStack, name: str) -> ApiClient:
    """A client with a key made by the real command."""
    secret = command(stack, "apikey_create", name).split()[-1]
    return ApiClient(
        httpx.Client(
            base_url=f"{stack.base_url}/api/v1",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=60,
        )
    )
