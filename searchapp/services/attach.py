"""Attach to the embedded services of a DATA_DIR, starting them when none run; last out stops them.

Users hold `users.lock` together, so the kernel counts them, also when one is killed. Nothing is
done for services that DATABASE_URL or REDIS_URL name.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchapp.environment import PROJECT_DIR
from searchapp.errors import Unavailable
from searchapp.services.addresses import addresses_get, run_folder
from searchapp.services.child import birth
from searchapp.services.keeper import state_path
from searchapp.services.locks import Lock, lock_exclusive
from searchapp.services.supervisor import state_read

_STOP_SECONDS = 90.0


class Attachment:
    """The hold of one process on the embedded services `names` of `data_dir`."""

    def __init__(self, data_dir: Path, names: tuple[str, ...]) -> None:
        self.data_dir = data_dir
        self.names = names
        self._keeper: subprocess.Popen[bytes] | None = None

    def ensure(self) -> bool:
        """Start the services if they do not run, wait until ready; True when it started them.

        Raises Unavailable with the reason when they cannot be started.
        """
        if not self.names or self._is_ready():
            return False
        with lock_exclusive(run_folder(self.data_dir) / "start.lock"):
            is_starter = not self._is_alive()
            if is_starter:
                self._keeper_start()
            while not self._is_ready():
                self._raise_if_failed()
                time.sleep(0.05)
        return is_starter

    def service_pids(self) -> dict[str, int]:
        """Process ids of the embedded services by name."""
        pids: dict[str, int] = state_read(state_path(self.data_dir)).get("services", {})
        return pids

    def _state(self) -> dict[str, Any]:
        return state_read(state_path(self.data_dir))

    def _is_alive(self) -> bool:
        return _is_keeper_alive(self._state())

    def _is_ready(self) -> bool:
        state = self._state()
        if not (state.get("ready") and self._is_alive()):
            return False
        missing = set(self.names) - set(state["services"])
        if missing:
            raise Unavailable(
                "services_differ",
                f"The services of {self.data_dir} run without {', '.join(sorted(missing))}, as "
                "another command set DATABASE_URL or REDIS_URL: let it end, or use its settings",
            )
        return True

    def _keeper_start(self) -> None:
        state_path(self.data_dir).unlink(missing_ok=True)
        log = self.data_dir / "logs" / "services.log"
        log.parent.mkdir(exist_ok=True)
        argv = [sys.executable, "-m", "searchapp.services.keeper", str(self.data_dir), *self.names]
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(
                argv,
                cwd=PROJECT_DIR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _raise_if_failed(self) -> None:
        error = self._state().get("error")
        is_gone = self._keeper is None or self._keeper.poll() is not None
        if error and is_gone:
            raise Unavailable("services_failed", f"The services did not start: {error}")
        if is_gone and not self._is_alive():
            log = self.data_dir / "logs" / "services.log"
            raise Unavailable("services_failed", f"The services did not start: see {log}")

    def stop_if_last(self, users: Lock) -> None:
        """Stop the services and wait until they are gone, when nobody else holds `users`."""
        if not users.try_exclusive() or not self._is_alive():
            return
        os.kill(self._state()["pid"], signal.SIGTERM)
        keeper = Lock(run_folder(self.data_dir) / "keeper.lock")
        deadline = time.monotonic() + _STOP_SECONDS
        while not keeper.try_exclusive() and time.monotonic() < deadline:
            time.sleep(0.02)
        keeper.close()
        if self._keeper is not None:
            self._keeper.wait(timeout=_STOP_SECONDS)


def is_running(data_dir: Path) -> bool:
    """Whether embedded services of DATA_DIR are ready now. Starts nothing."""
    state = state_read(state_path(data_dir))
    return bool(state.get("ready")) and _is_keeper_alive(state)


def _is_keeper_alive(state: dict[str, Any]) -> bool:
    return "pid" in state and birth(state["pid"]) == state["born"]


@contextmanager
def services_attached(env: dict[str, Any], data_dir: Path) -> Iterator[Attachment]:
    """Hold the embedded services that the parsed settings `env` need, for a block.

    Raises Unavailable when they cannot be started, SettingError when DATA_DIR cannot be used.
    """
    addresses = addresses_get(env, data_dir)
    wanted = {"postgres": addresses.is_database_embedded, "redis": addresses.is_redis_embedded}
    attachment = Attachment(
        data_dir, tuple(name for name, is_needed in wanted.items() if is_needed)
    )
    if not attachment.names:
        yield attachment
        return
    users = Lock(run_folder(data_dir) / "users.lock")
    try:
        users.shared()
        attachment.ensure()
        yield attachment
    finally:
        attachment.stop_if_last(users)
        users.close()
