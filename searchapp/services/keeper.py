"""The process that holds the embedded Postgres and Redis of one DATA_DIR while anyone uses them.

`python -m searchapp.services.keeper DATA_DIR postgres redis`; started by `attach`. It ends when no
process holds `users.lock` any more, however those processes ended. Knows nothing of its users.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from searchapp.environment import SettingError
from searchapp.errors import SearchappError
from searchapp.services.addresses import run_folder, socket_folder
from searchapp.services.child import birth
from searchapp.services.locks import Lock
from searchapp.services.postgres import database_create, is_postgres_ready, postgres_prepare
from searchapp.services.redis import is_redis_ready, redis_prepare
from searchapp.services.supervisor import StopRequested, Supervisor, state_write

_POLL_SECONDS = 0.5


def state_path(data_dir: Path) -> Path:
    """Where the keeper writes {"pid", "born", "ready", "services": {name: pid}} or {"error"}."""
    return run_folder(data_dir) / "services.json"


def keeper_run(data_dir: Path, names: list[str]) -> int:
    """Start the services `names`, keep them running, stop them when unused; an exit status."""
    # Held by Postgres and Redis too: nobody starts a second pair while one process of these lives.
    lock = Lock(run_folder(data_dir) / "keeper.lock")
    lock.exclusive()
    state: dict[str, Any] = {"pid": os.getpid(), "born": birth(os.getpid()), "ready": False}

    def on_change() -> None:
        state["services"] = {child.spec.name: child.pid for child in supervisor.children}
        state_write(state_path(data_dir), state)

    try:
        with Supervisor(say, on_change) as supervisor:
            for name in names:
                _SERVICES[name](supervisor, data_dir, lock.fd)
            state["ready"] = True
            on_change()
            _users_wait(supervisor, Lock(run_folder(data_dir) / "users.lock"))
    except StopRequested:
        say("asked to stop")
    except (SearchappError, SettingError, OSError) as error:
        say(str(error))
        state_write(state_path(data_dir), {"error": str(error)})
        return 1
    state_path(data_dir).unlink(missing_ok=True)
    _short_folder_remove(data_dir)
    return 0


def _short_folder_remove(data_dir: Path) -> None:
    """Leave no empty socket folder in /tmp; whoever starts next makes it again."""
    folder = socket_folder(data_dir)
    if folder != run_folder(data_dir):
        with contextlib.suppress(OSError):
            (folder / "pg").rmdir()
            folder.rmdir()


def _users_wait(supervisor: Supervisor, users: Lock) -> None:
    while not users.try_exclusive():
        supervisor.tend()
        supervisor.pause(_POLL_SECONDS)


def _postgres_start(supervisor: Supervisor, data_dir: Path, lock_fd: int) -> None:
    log = data_dir / "logs" / "postgres.log"
    child = supervisor.start(postgres_prepare(data_dir, log=log, lock_fd=lock_fd))
    supervisor.wait_ready(child, lambda: is_postgres_ready(data_dir))
    database_create(data_dir)


def _redis_start(supervisor: Supervisor, data_dir: Path, lock_fd: int) -> None:
    log = data_dir / "logs" / "redis.log"
    child = supervisor.start(redis_prepare(data_dir, log=log, lock_fd=lock_fd))
    supervisor.wait_ready(child, lambda: is_redis_ready(data_dir))


_SERVICES: dict[str, Callable[[Supervisor, Path, int], None]] = {
    "postgres": _postgres_start,
    "redis": _redis_start,
}


def say(line: str) -> None:
    """One dated line to stderr, which is DATA_DIR/logs/services.log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(keeper_run(Path(sys.argv[1]), sys.argv[2:]))
