"""What the services and tools of this machine look like, one Finding each, for `doctor`.

Starts nothing and changes nothing: a database that does not run is judged by its binaries.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psycopg
import redis

from searchapp.environment import PROJECT_DIR
from searchapp.errors import SearchappError
from searchapp.services.addresses import Addresses, addresses_get
from searchapp.services.attach import is_running
from searchapp.services.postgres import binary_folder
from searchapp.services.redis import binary_path
from searchapp.services.stack import host_check

Level = Literal["ok", "warning", "missing"]
_VECTOR_VERSION = (0, 8)
_LOW_BYTES = 2 * 1024**3
_FONTS = {
    "Latin": (":lang=en", "fonts-noto-core"),
    "Chinese": (":lang=zh", "fonts-noto-cjk"),
    "Japanese": (":lang=ja", "fonts-noto-cjk"),
    "Korean": (":lang=ko", "fonts-noto-cjk"),
    "Arabic": (":lang=ar", "fonts-noto-core"),
    "Arial's widths": ("Liberation Sans", "fonts-liberation"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `missing` means the product cannot do its main job."""

    name: str
    level: Level
    found: str
    hint: str = ""


def findings(env: dict[str, Any], data_dir: Path) -> Iterator[Finding]:
    """All findings about settings, services, programs, fonts, packages and disk."""
    addresses = addresses_get(env, data_dir)
    yield _settings(env, addresses)
    yield from _database(addresses, data_dir)
    yield _redis(addresses, data_dir)
    yield _office()
    yield from _fonts()
    yield _packages()
    yield _disk(data_dir)


def _settings(env: dict[str, Any], addresses: Addresses) -> Finding:
    try:
        host_check(env["HOST"], addresses)
    except SearchappError as error:
        return Finding("settings", "missing", f"HOST={env['HOST']}", error.message)
    if env["DEBUG"]:
        return Finding("settings", "warning", "DEBUG=1", "Unset DEBUG where others use it")
    return Finding("settings", "ok", "readable")


def _database(addresses: Addresses, data_dir: Path) -> Iterator[Finding]:
    try:
        if addresses.is_database_embedded and not is_running(data_dir):
            yield from _database_binaries()
        else:
            yield from _database_running(addresses.database_url)
    except (SearchappError, psycopg.Error, OSError) as error:
        hint = getattr(error, "message", "Check DATABASE_URL and that the server runs")
        yield Finding("postgres", "missing", str(error).split("\n", 1)[0], hint)


def _database_running(url: str) -> Iterator[Finding]:
    with psycopg.connect(url, connect_timeout=5) as connection:
        server = connection.info.server_version
        yield Finding("postgres", "ok", f"{server // 10000}.{server % 10000}, answers")
        query = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
        row = connection.execute(query).fetchone()
    yield _vector(row[0] if row else "")


def _database_binaries() -> Iterator[Finding]:
    folder = binary_folder()
    shown = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
    found = f"{shown.stdout.strip()}, not running"
    yield Finding("postgres", "ok" if shown.returncode == 0 else "missing", found)
    for control in folder.parent.glob("share/**/vector.control"):
        match = re.search(r"default_version = '([^']+)'", control.read_text())
        yield _vector(match[1] if match else "")


def _vector(found: str) -> Finding:
    numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    if numbers >= _VECTOR_VERSION:
        return Finding("pgvector", "ok", found)
    return Finding("pgvector", "missing", found or "none", "Install pgvector 0.8 or newer there")


def _redis(addresses: Addresses, data_dir: Path) -> Finding:
    try:
        if addresses.is_redis_embedded and not is_running(data_dir):
            return Finding("redis", "ok", f"{binary_path()}, not running")
        with redis.Redis.from_url(addresses.redis_url, socket_connect_timeout=5) as client:
            return Finding("redis", "ok", f"{client.info('server')['redis_version']}, answers")
    except redis.RedisError as error:
        return Finding("redis", "missing", str(error), "Check REDIS_URL and that the server runs")
    except SearchappError as error:
        return Finding("redis", "missing", "no redis-server", error.message)


def _office() -> Finding:
    path = shutil.which("soffice")
    if path is None:
        hint = "apt install libreoffice-impress; until then slides are drawn from their texts only"
        return Finding("soffice", "warning", "not installed", hint)
    return Finding("soffice", "ok", path)


def _fonts() -> Iterator[Finding]:
    if shutil.which("fc-list") is None:
        yield Finding("fonts", "warning", "fc-list is not installed", "apt install fontconfig")
        return
    for script, (pattern, package) in _FONTS.items():
        shown = subprocess.run(["fc-list", pattern, "family"], capture_output=True, text=True)
        families = sorted(set(shown.stdout.splitlines()))
        if families:
            yield Finding(f"font: {script}", "ok", families[0])
        else:
            yield Finding(f"font: {script}", "warning", "none", f"apt install {package}")


def _packages() -> Finding:
    wrong = []
    for line in (PROJECT_DIR / "constraints.txt").read_text().splitlines():
        name, _, wanted = line.partition("==")
        if not wanted:
            continue
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if found != wanted:
            wrong.append(f"{name} {found} instead of {wanted}")
    if wrong:
        return Finding("packages", "warning", "; ".join(wrong[:5]), "Run `make install`")
    return Finding("packages", "ok", "as in constraints.txt")


def _disk(data_dir: Path) -> Finding:
    free = shutil.disk_usage(data_dir).free
    found = f"{free / 1024**3:.1f} GB free in {data_dir}"
    if free < _LOW_BYTES:
        return Finding("disk", "warning", found, "Make room, or move DATA_DIR")
    return Finding("disk", "ok", found)
