"""Search over HTTP against a running product: new text queries, repeated ones, several clients.

    python -m benchmarks.http --key sk_... [--pages N] [--url URL] [--json FILE]

--pages fills the installation of this DATA_DIR up to N synthetic pages first (benchmarks.http_pages
says of what; every key sees them). Clients are threads of this process, which shares the machine
with the server: the rates are lower bounds.
"""

import argparse
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import httpx

from benchmarks.report import Row, percentile, rows_show

_QUERY_WORDS = 6
_SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def queries_make(count: int, seed: int) -> list[str]:
    """Queries of six words, as words are drawn for pages; of another seed none is the same."""
    from benchmarks.http_pages import texts

    return texts(count, _QUERY_WORDS, seed)


def timed(client: httpx.Client, queries: list[str]) -> tuple[list[float], Counter[int]]:
    """Milliseconds of each answered query, one after the other, and the statuses."""
    took, statuses = [], Counter[int]()
    for query in queries:
        began = time.perf_counter()
        answer = client.post("/api/v1/search", json={"query": query})
        statuses[answer.status_code] += 1
        if answer.is_success:
            took.append((time.perf_counter() - began) * 1000)
    return took, statuses


def rows_measure(client: httpx.Client, kind: str, queries: list[str], clients: int) -> list[Row]:
    """Latencies and rate of `queries`, shared by `clients`. SystemExit when none was answered."""
    parts = [queries[i::clients] for i in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        done = list(pool.map(lambda part: timed(client, part), parts))
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
    headers = {"Authorization": f"Bearer {options.key}"}
    limits = httpx.Limits(max_connections=options.clients)
    seed = time.time_ns()
    with httpx.Client(base_url=options.url, headers=headers, timeout=60, limits=limits) as client:
        timed(client, queries_make(30, seed))
        fresh = queries_make(options.count, seed + 1)
        rows = rows_measure(client, "new", fresh, 1)
        rows += rows_measure(client, "repeated", fresh, 1)
        rows += rows_measure(client, "new", queries_make(options.count, seed + 2), options.clients)
    rows_show(rows, options.json)


def _fill(pages: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")
    import django

    django.setup()
    from benchmarks.http_pages import pages_fill

    pages_fill(pages)


if __name__ == "__main__":
    main()
