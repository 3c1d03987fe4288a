"""Search over HTTP against a running product: new text queries, repeated ones, several clients.

    python -m benchmarks.http --key sk_... [--pages N] [--url URL] [--json FILE]

--pages fills the installation of this DATA_DIR up to N synthetic pages first (benchmarks.http_pages
says of what; every key sees them). Clients are threads of this process, which shares the machine
with the server: the rates are lower bounds.
"""

import argparse
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.report import Row, percentile, rows_show

_QUERY_WORDS = 6
_SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True, slots=True)
class Server:
    """Where the product answers, and a key."""

    url: str
    key: str


def queries_make(count: int, seed: int) -> list[str]:
    """Queries of six words, as words are drawn for pages; of another seed none is the same."""
    from benchmarks.http_pages import texts

    return texts(count, _QUERY_WORDS, seed)


def timed(server: Server, queries: list[str]) -> tuple[list[float], Counter[int]]:
    """Milliseconds of each answered query, one after the other, and the statuses.

    By the standard library: httpx would take 2 ms of the CPU that server and client share.
    """
    took, statuses = [], Counter[int]()
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    for query in queries:
        began = time.perf_counter()
        connection.request("POST", "/api/v1/search", json.dumps({"query": query}), headers)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
        if answer.status == HTTPStatus.OK:
            took.append((time.perf_counter() - began) * 1000)
    connection.close()
    return took, statuses


def rows_measure(server: Server, kind: str, queries: list[str], clients: int) -> list[Row]:
    """Latencies and rate of `queries`, shared by `clients`. SystemExit when none was answered."""
    parts = [queries[i::clients] for i in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        done = list(pool.map(lambda part: timed(server, part), parts))
    seconds = time.perf_counter() - began
    took = list(chain.from_iterable(times for times, _ in done))
    statuses = sum((counts for _, counts in done), Counter[int]())
    if not took:
        raise SystemExit(f"No query was answered: {dict(statuses)}")
    known = {"queries": kind, "clients": clients, "count": len(took)}
    if len(statuses) > 1:
        known["statuses"] = str(dict(statuses))
    rows = [Row("searchapp", n, percentile(took, s), "ms", known) for n, s in _SHARES.items()]
    return [*rows, Row("searchapp", "qps", len(took) / seconds, "1/s", known)]


def main() -> None:
    """Print p50, p95, p99 and rate of new and repeated queries, one client and `--clients`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True)
    parser.add_argument("--pages", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    _fill(options.pages)
    server, seed = Server(options.url, options.key), time.time_ns()
    timed(server, queries_make(30, seed))
    fresh = queries_make(options.count, seed + 1)
    rows = rows_measure(server, "new", fresh, 1)
    rows += rows_measure(server, "repeated", fresh, 1)
    rows += rows_measure(server, "new", queries_make(options.count, seed + 2), options.clients)
    rows_show(rows, options.json)


def _fill(pages: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")
    import django

    django.setup()
    from benchmarks.http_pages import pages_fill

    pages_fill(pages)


if __name__ == "__main__":
    main()
