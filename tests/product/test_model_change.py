"""Another model in a product that is in use: no search fails, none mixes two models."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.product.api_client import ApiClient, api_client, command
from tests.product.test_sight import pdf
from tests.sight.drawings import Subject, caption, page
from tests.sight.train import FOLDER
from tests.stack import stack_running, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.long]

SUBJECTS = (Subject("star", "red"), Subject("pie chart", "green"), Subject("moon", "yellow", 2))
MORE = (Subject("triangle", "blue", 3), Subject("table", "red"))
Ranking = tuple[tuple[int, float], ...]


def ranking(answer: dict[str, Any]) -> Ranking:
    return tuple((hit["page"]["id"], round(hit["score"], 3)) for hit in answer["hits"])


@dataclass
class Load:
    """Several people who search all the time, and all that they were answered.

    rankings: of each query by index; lately: which indexes answered, in order; failures: answers
    that were none.
    """

    client: ApiClient
    queries: tuple[str, ...]
    stop: threading.Event = field(default_factory=threading.Event)
    rankings: dict[tuple[str, int], set[Ranking]] = field(default_factory=lambda: defaultdict(set))
    failures: list[str] = field(default_factory=list)
    lately: list[int] = field(default_factory=list)

    @contextmanager
    def running(self, people: int = 4) -> Iterator[None]:
        threads = [threading.Thread(target=self._search, args=(n,)) for n in range(people)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def _search(self, turn: int) -> None:
        while not self.stop.is_set():
            turn += 1
            query = self.queries[turn % len(self.queries)]
            try:
                self._note(query, self.client.http.post("/search", json={"query": query}))
            except httpx.HTTPError as error:
                self.failures.append(repr(error))

    def _note(self, query: str, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.failures.append(answer.text)
            return
        body = answer.json()
        self.rankings[query, body["index"]["id"]].add(ranking(body))
        self.lately.append(body["index"]["id"])

    def answered_by(self, seconds: float = 60) -> set[int]:
        """Which indexes answer now: by a few searches of each of the people."""
        begun, end = len(self.lately), time.monotonic() + seconds
        while len(self.lately) < begun + 20:
            assert time.monotonic() < end
            time.sleep(0.05)
        return set(self.lately[begun + 8 :])  # those before may have begun earlier


def test_a_switch_there_and_back_under_constant_load(tmp_path: Path) -> None:
    with stack_running(tmp_path, OCR="0", RENDER_PROCESSES="1") as stack:
        client = api_client(stack, "reader")
        slug = client.collection("drawings")
        file = pdf([page(subject, size=(600, 840)) for subject in SUBJECTS])
        document = client.upload(slug, "scans.pdf", file).json()["id"]
        assert client.wait(document)["status"] == "ready"
        load = Load(client, tuple(caption(subject) for subject in SUBJECTS))
        with load.running():
            [old] = load.answered_by()
            built = command(stack, "index", "build", "--model", str(FOLDER))
            new = int(built.split()[-1])
            assert load.answered_by() == {old}
            command(stack, "index", "activate", str(new))
            assert load.answered_by() == {new}
            for number, subject in enumerate(SUBJECTS, start=1):
                assert client.search(caption(subject))[0]["page"]["number"] == number
            command(stack, "index", "activate", str(old))
            assert load.answered_by() == {old}
        assert load.failures == []
        # One ranking of each index for a query, and not the same: a mixture would be a third.
        assert {len(found) for found in load.rankings.values()} == {1}
        for query in load.queries:
            assert load.rankings[query, old] != load.rankings[query, new]
        later = client.upload(slug, "more.pdf", pdf([page(one, size=(600, 840)) for one in MORE]))
        assert client.wait(later.json()["id"])["status"] == "ready"
        assert "3 of 5" in command(stack, "index", "list")
        command(stack, "index", "activate", str(new))
        assert client.search(caption(MORE[0]))[0]["page"]["document"]["id"] == later.json()["id"]
        dropped = command(stack, "index", "retire", str(old), "--drop")
        assert "Dropped: builtin" in dropped
        killed = stack.kill("engine")
        wait_until(lambda: stack.pids().get("engine", killed) != killed, 30, "a new engine")
        wait_until(lambda: httpx.get(f"{stack.base_url}/readyz").status_code == 200, 60, "ready")
        # It was started with the model of the active index, whatever the settings name.
        assert client.search(caption(SUBJECTS[0]))[0]["page"]["number"] == 1
