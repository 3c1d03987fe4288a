"""What was made of the last pictures, by their bytes: made once, however often it is asked for.

Knows no picture and no model.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import sha256
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """At most `size` results, the least recently used goes first. Thread-safe.

    Who asks for what is being made just then waits for it; what failed is not kept.
    """

    def __init__(self, make: Callable[[bytes], Made], *, size: int) -> None:
        self._make = make
        self._size = size
        self._kept: OrderedDict[bytes, Future[Made]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, content: bytes) -> Made:
        """Raises as what makes it."""
        key = sha256(content).digest()
        with self._lock:
            found = self._kept.get(key)
            is_new = found is None
            result = self._kept.setdefault(key, Future()) if found is None else found
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        if is_new:
            self._fill(key, content, result)
        return result.result()

    def _fill(self, key: bytes, content: bytes, result: Future[Made]) -> None:
        try:
            result.set_result(self._make(content))
        except BaseException as error:  # noqa: BLE001  (those who wait get it too)
            with self._lock:
                self._kept.pop(key, None)
            result.set_exception(error)
