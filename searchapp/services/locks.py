"""File locks that end with their holder, whatever kills it. Linux `flock`, nothing else."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """An open lock file. Processes that inherit its descriptor hold the lock too."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def shared(self) -> None:
        """Hold it together with others; waits for an exclusive holder to end."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def exclusive(self) -> None:
        """Hold it alone; waits for all others."""
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def try_exclusive(self) -> bool:
        """Hold it alone if nobody else holds it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give it up here; a process that inherited the descriptor keeps it."""
        os.close(self.fd)


@contextmanager
def lock_exclusive(path: Path) -> Iterator[Lock]:
    """Hold the lock at `path` alone for a block, waiting for it."""
    lock = Lock(path)
    try:
        lock.exclusive()
        yield lock
    finally:
        lock.close()
