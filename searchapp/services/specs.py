"""Command lines of the product's processes: engine, web server, workers, beat. Starts nothing."""

import signal
import sys
from pathlib import Path
from typing import Any

from searchapp.environment import EMBED_WAITING, PROJECT_DIR
from searchapp.services.child import ChildSpec

_KEEP_ALIVE_MS = 60000
# Idle keep-alive connections count too: far more than WEB_THREADS, or they would lock others out.
_CONNECTIONS = 512
_CELERY = (sys.executable, "-m", "celery", "-A", "searchapp.celery")
_LEAN = ("--without-gossip", "--without-mingle")
_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # SIGTERM ends a worker at once: its pages come back when their lease is over.
    "REMAP_SIGTERM": "SIGQUIT",
    # numpy's products are small here, and its second thread waits for each of them by spinning:
    # of a query's vector that took 12 ms of CPU, twice what the model takes.
    "OPENBLAS_NUM_THREADS": "1",
}


def engine_spec(data_dir: Path, *options: str) -> ChildSpec:
    """The process that holds the model."""
    return manage_spec(data_dir, "engine", *options)


def web_spec(env: dict[str, Any], data_dir: Path) -> ChildSpec:
    """The web server: one process, WEB_THREADS requests at a time, and embed calls beside them."""
    options = {
        "--interface": "wsgi",
        "--host": env["HOST"],
        "--port": env["PORT"],
        "--workers": 1,
        "--blocking-threads": env["WEB_THREADS"] + EMBED_WAITING,
        "--backpressure": _CONNECTIONS,
        "--http1-header-read-timeout": _KEEP_ALIVE_MS,
        "--workers-kill-timeout": 4,
        "--log-level": "warning",
    }
    flat = [str(part) for option in options.items() for part in option]
    argv = (sys.executable, "-m", "granian", *flat, "--no-ws", "searchapp.wsgi:application")
    # Its main process passes SIGTERM on to the worker, which would outlive a SIGKILL.
    return _spec("web", data_dir, argv, death="SIGTERM")


def worker_specs(env: dict[str, Any], data_dir: Path) -> tuple[ChildSpec, ...]:
    """Workers and beat. Workers give way to searches; the model's worker never forks."""
    render = ("-Q", "render", "-n", "render@%h", "-P", "prefork")
    processes = ("-c", str(env["RENDER_PROCESSES"]), "--max-tasks-per-child", "200")
    argv = (*_CELERY, "worker", *render, *processes, *_LEAN, _level(env))
    return (
        _spec("render", data_dir, argv, nice=10),
        embed_spec(env, data_dir),
        _spec("beat", data_dir, (*_CELERY, "beat", "--pidfile=", _level(env))),
    )


def embed_spec(env: dict[str, Any], data_dir: Path, name: str = "embed") -> ChildSpec:
    """A worker that sends pages to the engine and stores the vectors."""
    embed = ("-Q", "embed", "-n", f"{name}@%h", "-P", "solo")
    return _spec(name, data_dir, (*_CELERY, "worker", *embed, *_LEAN, _level(env)), nice=5)


def _level(env: dict[str, Any]) -> str:
    return f"--loglevel={env['LOG_LEVEL']}"


def manage_spec(data_dir: Path, command: str, *options: str) -> ChildSpec:
    """A command of manage.py."""
    argv = (sys.executable, str(PROJECT_DIR / "manage.py"), command, *options)
    return _spec(command, data_dir, argv)


def _spec(
    name: str, data_dir: Path, argv: tuple[str, ...], *, nice: int = 0, death: str = "SIGKILL"
) -> ChildSpec:
    return ChildSpec(
        name=name,
        argv=argv,
        log=data_dir / "logs" / f"{name}.log",
        env=_ENVIRONMENT,
        cwd=PROJECT_DIR,
        nice=nice,
        death_signal=signal.Signals[death],
    )
