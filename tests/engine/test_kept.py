"""What is made of a picture: once while it is kept, and by one for all who wait."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedding_engine.kept import Kept


def test_is_made_once_and_the_least_recent_goes_first() -> None:
    made: list[bytes] = []

    def make(content: bytes) -> int:
        made.append(content)
        return len(content)

    kept = Kept(make, size=2)
    asked = [b"a", b"bb", b"a", b"ccc", b"a", b"bb"]
    assert [kept(content) for content in asked] == [1, 2, 1, 3, 1, 2]
    assert made == [b"a", b"bb", b"ccc", b"bb"]


def test_who_asks_meanwhile_waits_for_the_same() -> None:
    go, made = threading.Event(), list[bytes]()

    def make(content: bytes) -> int:
        made.append(content)
        assert go.wait(10)
        return 7

    kept = Kept(make, size=1)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(kept, b"a") for _ in range(4)]
        go.set()
        assert [answer.result(10) for answer in answers] == [7] * 4
    assert made == [b"a"]


def test_what_failed_is_tried_again() -> None:
    tries: list[bytes] = []

    def make(content: bytes) -> int:
        tries.append(content)
        if len(tries) == 1:
            raise ValueError
        return 1

    kept = Kept(make, size=1)
    with pytest.raises(ValueError):
        kept(b"a")
    assert kept(b"a") == 1
