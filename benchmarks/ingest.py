"""Ingest end to end against a running product: upload files over HTTP, wait until all are ready.

`python -m benchmarks.ingest --key sk_... [--url URL] [--json FILE] [--pdf-pages N | PATH...]`
Without paths a text PDF of N pages is made. Prints pages per second from the first byte sent to the
last page searchable.
"""

import argparse
import io
import time
from pathlib import Path
from typing import Any

import httpx
from reportlab.pdfgen.canvas import Canvas

from benchmarks.report import Row, rows_show

_FINAL = {"ready", "partial", "failed"}


def pdf_make(pages: int) -> bytes:
    """A digital PDF with about 250 words a page, all pages distinct."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    stamp = time.time_ns()
    for page in range(pages):
        for line in range(36):
            text = f"Line {line} of page {page}: the crew of island {stamp % 9973} checks blade"
            canvas.drawString(50, 790 - 20 * line, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def main() -> None:
    """Upload, poll, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True)
    parser.add_argument("--pdf-pages", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = [(path.name, path.read_bytes()) for path in options.paths]
    files = files or [(f"benchmark-{options.pdf_pages}.pdf", pdf_make(options.pdf_pages))]
    headers = {"Authorization": f"Bearer {options.key}"}
    base = f"{options.url}/api/v1"
    with httpx.Client(base_url=base, headers=headers, timeout=300) as client:
        rows_show(_measure(client, files), options.json)


def _measure(client: httpx.Client, files: list[tuple[str, bytes]]) -> list[Row]:
    slug = f"benchmark-{time.time_ns()}"
    client.post("/collections", json={"name": slug, "slug": slug}).raise_for_status()
    began = time.perf_counter()
    for name, content in files:
        answer = client.post(
            "/documents", data={"collection": slug}, files={"file": (name, content)}
        )
        if answer.status_code not in {200, 202}:
            print(f"refused: {name}: {answer.text}")
    documents = _wait(client, slug)
    seconds = time.perf_counter() - began
    pages = sum(document["progress"]["embedded"] for document in documents)
    for document in documents:
        if document["status"] != "ready":
            print(f"{document['filename']}: {document['status']}: {document['error_message']}")
    what = {"documents": len(documents), "pages": pages, "seconds": round(seconds, 1)}
    return [Row("searchapp", "pages_per_s", pages / seconds, "1/s", what)]


def _wait(client: httpx.Client, slug: str) -> list[dict[str, Any]]:
    while True:
        answer = client.get("/documents", params={"collection": slug, "limit": 500}).json()
        if all(document["status"] in _FINAL for document in answer["items"]):
            items: list[dict[str, Any]] = answer["items"]
            return items
        time.sleep(0.2)


if __name__ == "__main__":
    main()
