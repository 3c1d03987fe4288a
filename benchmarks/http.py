"""Search over HTTP against a running product: new text queries, repeated ones, several clients.

`python -m benchmarks.http --url http://127.0.0.1:8000 --key sk_... [--json FILE]`
"""

import argparse
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.report import Row, percentile, rows_show

_WORDS = [
    "battery",
    "turbine",
    "storm",
    "harbour",
    "invoice",
    "vacation",
    "safety",
    "training",
    "revenue",
    "island",
    "contract",
    "customer",
    "blade",
    "inspection",
    "price",
    "budget",
    "forecast",
    "risk",
    "diagram",
    "schedule",
    "report",
    "chart",
    "supplier",
    "warranty",
    "noise",
    "permit",
    "software",
    "sensor",
    "quality",
    "travel",
    "expense",
    "holiday",
    "office",
    "meeting",
]


def queries_make(count: int, seed: int) -> list[str]:
    """Distinct queries of four to eight words, so that no cache holds them."""
    chooser = random.Random(seed)
    return [" ".join(chooser.sample(_WORDS, chooser.randint(4, 8))) for _ in range(count)]


def timed(client: httpx.Client, queries: list[str]) -> list[float]:
    """Milliseconds of each query, one after the other."""
    took = []
    for query in queries:
        began = time.perf_counter()
        answer = client.post("/api/v1/search", json={"query": query})
        answer.raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    return took


def main() -> None:
    """Print p50, p95, p99 of new and repeated queries and the rate with `--clients`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    headers = {"Authorization": f"Bearer {options.key}"}
    with httpx.Client(base_url=options.url, headers=headers, timeout=60) as client:
        timed(client, queries_make(10, seed=1))
        fresh = queries_make(options.count, seed=time.time_ns())
        rows = _rows("new query", timed(client, fresh)) + _rows("repeated", timed(client, fresh))
        rows.append(_rate(client, options.clients, options.count))
    rows_show(rows, options.json)


def _rows(kind: str, took: list[float]) -> list[Row]:
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return [
        Row("searchapp", name, percentile(took, share), "ms", {"queries": kind})
        for name, share in shares.items()
    ]


def _rate(client: httpx.Client, clients: int, count: int) -> Row:
    parts = [queries_make(count // clients, seed=time.time_ns() + i) for i in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        done = sum(len(took) for took in pool.map(lambda part: timed(client, part), parts))
    seconds = time.perf_counter() - began
    return Row("searchapp", "qps", done / seconds, "1/s", {"clients": clients})


if __name__ == "__main__":
    main()
