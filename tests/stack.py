"""Starts the real `manage.py up` for tests and looks after it from outside. No Django here."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from searchapp.environment import PROJECT_DIR, SETTINGS
from searchapp.services import keeper, stack
from searchapp.services.supervisor import state_read

START_SECONDS = 240.0
STOP_SECONDS = 60.0


def port_free() -> int:
    """A port nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_clean(**values: str) -> dict[str, str]:
    """This process's environment with only the given settings."""
    known = {setting.name for setting in SETTINGS}
    return {name: text for name, text in os.environ.items() if name not in known} | values


def processes_of(data_dir: Path) -> dict[int, str]:
    """Command lines by pid of all live processes that were given this DATA_DIR or lie in it."""
    needle = os.fsencode(data_dir)
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            is_ours = needle in command + (entry / "environ").read_bytes()
        except OSError:
            continue
        # A zombie has an empty command line: it is gone, its parent has not looked yet.
        if is_ours and command:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def wait_until(is_true: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until `is_true`; AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass
class RunningStack:
    """A product that answered Ready. `signin_url` is the one-time link."""

    process: subprocess.Popen[str]
    data_dir: Path
    signin_url: str
    lines: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """scheme://host:port without a slash at the end."""
        parts = urlsplit(self.signin_url)
        return f"{parts.scheme}://{parts.netloc}"

    def pids(self) -> dict[str, int]:
        """Process ids by name: engine, web, render, embed, beat, postgres, redis."""
        children = state_read(stack.state_path(self.data_dir)).get("children", {})
        services = state_read(keeper.state_path(self.data_dir)).get("services", {})
        return {name: pid for name, pid in (children | services).items() if pid}

    def kill(self, name: str) -> int:
        """kill -9 of a child; the supervisor starts it again. Returns the pid that was killed."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def hold(self, name: str) -> None:
        """Keep a child stopped until `release`; waits until it is gone."""
        path = stack.hold_path(self.data_dir, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
        wait_until(lambda: name not in self.pids(), 30, f"{name} to stop")

    def release(self, name: str) -> None:
        """Let the supervisor start a held child again; waits until it runs."""
        stack.hold_path(self.data_dir, name).unlink()
        wait_until(lambda: name in self.pids(), 30, f"{name} to start")

    def environment(self) -> dict[str, str]:
        """Environment with which `manage.py` commands reach this product."""
        return environment_clean(DATA_DIR=str(self.data_dir))


def is_alive(pid: int) -> bool:
    """False for a process that is gone or a zombie."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@contextmanager
def stack_running(data_dir: Path, **settings: str) -> Iterator[RunningStack]:
    """Run the product for a block. AssertionError when it does not start, or leaves a process."""
    env = environment_clean(
        **{"DATA_DIR": str(data_dir), "PORT": str(port_free()), "LOAD_DEMO": "0", **settings}
    )
    process = subprocess.Popen(
        [sys.executable, str(PROJECT_DIR / "manage.py"), "up"],
        env=env,
        cwd=PROJECT_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        running = _ready_wait(process, data_dir)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
    wait_until(lambda: not processes_of(data_dir), 5, f"no process left: {processes_of(data_dir)}")


def _ready_wait(process: subprocess.Popen[str], data_dir: Path) -> RunningStack:
    arrived: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    output = process.stdout
    running = RunningStack(process, data_dir, "")

    def read() -> None:
        for line in output:
            running.lines.append(line.rstrip("\n"))
            arrived.put(line)
        arrived.put("")

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    while line := arrived.get(timeout=max(0.1, deadline - time.monotonic())):
        if line.startswith("Ready: "):
            running.signin_url = line.removeprefix("Ready: ").strip()
            return running
    raise AssertionError("`manage.py up` ended:\n" + "\n".join(running.lines))
