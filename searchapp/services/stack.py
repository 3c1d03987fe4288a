"""The whole product as children of one process: what `manage.py up` starts, and in which order.

Postgres and Redis are held by the keeper (see `attach`); here are migrations, engine, web server,
workers and beat. Knows nothing of what they do; their command lines are in `specs`.
"""

import ipaddress
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp.errors import InvalidInput, SearchappError, Unavailable
from searchapp.services.addresses import Addresses, addresses_get, run_folder
from searchapp.services.attach import Attachment, services_attached
from searchapp.services.child import Child, birth
from searchapp.services.external import external_check
from searchapp.services.locks import Lock
from searchapp.services.specs import engine_spec, manage_spec, web_spec, worker_specs
from searchapp.services.supervisor import (
    StopRequested,
    Supervisor,
    child_failed,
    state_read,
    state_write,
)

_READY_SECONDS = 180
_LOAD_SECONDS = "3600"
_SHIPPED_MODEL = "builtin"
_SHORTEST_SECRET = 32


class AlreadyRunning(SearchappError):
    """Another `manage.py up` serves this DATA_DIR."""

    status = 409


@dataclass(frozen=True, slots=True)
class Stack:
    """What is to be run: parsed settings, folder, and three doors to the caller.

    `signin_path` makes the path of a one-time sign-in link; `note` says what is left to do by hand;
    `say` prints one line.
    """

    env: dict[str, Any]
    data_dir: Path
    signin_path: Callable[[], str]
    note: Callable[[], str]
    say: Callable[[str], None]

    @property
    def base_url(self) -> str:
        """Where the web server is reached from this machine."""
        host = self.env["HOST"]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.env['PORT']}"


def state_path(data_dir: Path) -> Path:
    """Where `up` writes {"pid", "born", "url", "children": {name: pid}}."""
    return run_folder(data_dir) / "up.json"


def hold_folder(data_dir: Path) -> Path:
    """Files in it name the children to be kept stopped; emptied by each `up`."""
    return run_folder(data_dir) / "hold"


def hold_path(data_dir: Path, name: str) -> Path:
    """While this file exists, `up` keeps the child `name` stopped."""
    return hold_folder(data_dir) / name


def stack_run(stack: Stack) -> None:
    """Run everything until SIGINT or SIGTERM; then nothing of it is left.

    Raises InvalidInput (HOST, PORT), AlreadyRunning, Unavailable (something did not start).
    """
    addresses = addresses_get(stack.env, stack.data_dir)
    host_check(stack.env["HOST"], addresses)
    lock = Lock(run_folder(stack.data_dir) / "up.lock")
    if not lock.try_exclusive():
        state = state_read(state_path(stack.data_dir))
        raise AlreadyRunning(
            "already_running",
            f"Already running for {stack.data_dir}: {state.get('url', 'starting')} "
            f"(process {state.get('pid', 'unknown')})",
        )
    try:
        port_check(stack.env["HOST"], stack.env["PORT"])
        external_check(addresses)
        shutil.rmtree(hold_folder(stack.data_dir), ignore_errors=True)
        with services_attached(stack.env, stack.data_dir) as attachment:
            _Run(stack, addresses, attachment).run()
    finally:
        state_path(stack.data_dir).unlink(missing_ok=True)
        lock.close()


def host_check(host: str, addresses: Addresses) -> None:
    """Raises InvalidInput when others could reach a server whose secret nobody chose."""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    is_weak = addresses.is_secret_generated or len(addresses.secret_key) < _SHORTEST_SECRET
    if not is_loopback and is_weak:
        raise InvalidInput(
            "secret_required",
            f"HOST={host} opens the server to other machines: set SECRET_KEY to at least "
            f"{_SHORTEST_SECRET} characters of your own first, for example from "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'",
            field="HOST",
        )


def port_check(host: str, port: int, *, named: str = "PORT=") -> None:
    """Raises InvalidInput when the address cannot be bound. `named`: how another one is chosen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidInput(
                "port_unusable",
                f"Port {port} of {host} cannot be used ({reason}): choose another, "
                f"for example {named}{port % 60000 + 1}",
                field="PORT",
            ) from error


class _Run:
    """One run of the stack, from the first child to the last."""

    def __init__(self, stack: Stack, addresses: Addresses, attachment: Attachment) -> None:
        self._stack = stack
        self._addresses = addresses
        self._attachment = attachment
        self._supervisor = Supervisor(stack.say, self._state_write)
        self._service_pids = attachment.service_pids()
        self._demo: Child | None = None

    def run(self) -> None:
        self._state_write()
        try:
            with self._supervisor:
                self._start()
                while True:
                    self._supervisor.pause(1.0)
                    self._tend()
        except StopRequested:
            self._stack.say("Stopping")
        finally:
            if self._demo is not None:
                self._demo.stop_begin()
                self._demo.stop_finish(time.monotonic() + self._demo.spec.grace_seconds)

    def _start(self) -> None:
        engine = None
        if self._addresses.is_engine_embedded:
            engine = self._supervisor.start(engine_spec(self._stack.data_dir))
            model = self._stack.env["EMBEDDING_MODEL"]
            if model != _SHIPPED_MODEL and not self._stack.env["EMBEDDING_URL"]:
                self._stack.say(f"Loading {model}, which may take minutes: see {engine.spec.log}")
        self._supervisor.run_once(manage_spec(self._stack.data_dir, "migrate", "--noinput"))
        # Of some models only the engine knows the dimension, and it may have to fetch them first.
        ensure = manage_spec(self._stack.data_dir, "index", "ensure", "--wait", _LOAD_SECONDS)
        self._supervisor.run_once(ensure, needs=engine)
        web = self._supervisor.start(web_spec(self._stack.env, self._stack.data_dir))
        for spec in worker_specs(self._stack.env, self._stack.data_dir):
            self._supervisor.start(spec)
        self._supervisor.wait_ready(web, lambda: _answers(f"{self._stack.base_url}/healthz"))
        state = "Ready" if self._all_ready(engine) else "Running, not ready"
        self._stack.say(f"{state}: {self._stack.base_url}{self._stack.signin_path()}")
        if note := self._stack.note():
            self._stack.say(note)
        self._demo_start()

    def _all_ready(self, engine: Child | None) -> bool:
        """Wait until everything is; False when that takes too long.

        Raises Unavailable when the engine ends before: what cannot be loaded stays so.
        """
        url = f"{self._stack.base_url}/readyz"
        for _ in range(_READY_SECONDS * 5):
            if _answers(url):
                return True
            if engine is not None and not engine.is_running:
                raise child_failed(engine)
            self._tend()
            self._supervisor.pause(0.2)
        self._stack.say(f"Not everything is ready yet, {url} says what; going on")
        return False

    def _tend(self) -> None:
        """Restart what crashed: our children, and the services through the keeper."""
        for child in self._supervisor.children:
            if child.hold(hold_path(self._stack.data_dir, child.spec.name).exists()):
                self._stack.say(f"{child.spec.name} is held")
                self._state_write()
        self._supervisor.tend()
        try:
            self._attachment.ensure()
        except Unavailable as error:
            self._stack.say(f"{error}; trying again")
        pids = self._attachment.service_pids()
        for name, pid in pids.items():
            if pid and pid != self._service_pids.get(name):
                self._stack.say(f"{name} ended and was started again")
                self._service_pids[name] = pid
        self._demo_finish()

    def _demo_start(self) -> None:
        if self._stack.env["LOAD_DEMO"] and not demo_marker(self._stack.data_dir).exists():
            self._stack.say("Loading the demo set; pages can be found as they become ready")
            self._demo = Child(manage_spec(self._stack.data_dir, "demo_load"))
            self._demo.start()

    def _demo_finish(self) -> None:
        if self._demo is None or self._demo.is_running:
            return
        if self._demo.exit_status == 0:
            demo_marker(self._stack.data_dir).touch()
            self._stack.say("The demo set is uploaded")
        else:
            self._stack.say(f"The demo set was not loaded: see {self._demo.spec.log}")
        self._demo = None

    def _state_write(self) -> None:
        state = {
            "pid": os.getpid(),
            "born": birth(os.getpid()),
            "url": self._stack.base_url,
            "children": {child.spec.name: child.pid for child in self._supervisor.children},
        }
        state_write(state_path(self._stack.data_dir), state)


def demo_marker(data_dir: Path) -> Path:
    """Exists once the demo set was loaded, so that a removed one does not come back."""
    return data_dir / "demo_loaded"


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
