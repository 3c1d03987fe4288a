"""Embedded services: attach, start, last one out, crashes, odd folders."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from searchapp.environment import PROJECT_DIR, SettingError, environment_read
from searchapp.errors import Unavailable
from searchapp.services import keeper
from searchapp.services.addresses import Addresses, addresses_get, socket_folder
from searchapp.services.attach import Attachment, services_attached
from searchapp.services.supervisor import state_read
from tests.stack import environment_clean, is_alive, processes_of, wait_until

ENV = environment_read({})


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A folder whose cluster is made once for this file."""
    with tempfile.TemporaryDirectory(prefix="attach-") as folder:
        yield Path(folder)


def addresses(data_dir: Path) -> Addresses:
    return addresses_get(ENV, data_dir)


def query(data_dir: Path, sql: str) -> str:
    with psycopg.connect(addresses(data_dir).database_url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        row = cursor.fetchone() if cursor.description else None
    return str(row[0]) if row else ""


def attached_process(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that stays attached until its stdin is closed; says `attached` first."""
    code = (
        "import sys; from pathlib import Path\n"
        "from searchapp.environment import environment_read\n"
        "from searchapp.services.attach import services_attached\n"
        "with services_attached(environment_read({}), Path(sys.argv[1])) as a:\n"
        "    print('attached', a.service_pids()['postgres'], flush=True); sys.stdin.read()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)],
        cwd=PROJECT_DIR,
        env=environment_clean(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def postmaster(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[1])


def test_starts_the_services_and_leaves_nothing(data_dir: Path) -> None:
    with services_attached(ENV, data_dir):
        found = query(data_dir, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        assert found >= "0.8"
        assert redis.Redis.from_url(addresses(data_dir).redis_url).ping()
        assert query(data_dir, "SHOW listen_addresses") == ""
        assert processes_of(data_dir)
    assert processes_of(data_dir) == {}


def test_two_at_once_share_one_postmaster_and_the_last_one_stops_it(data_dir: Path) -> None:
    first, second = attached_process(data_dir), attached_process(data_dir)
    pid = postmaster(first)
    assert postmaster(second) == pid
    first.communicate(timeout=30)
    assert is_alive(pid)
    second.communicate(timeout=30)
    assert not is_alive(pid)
    assert processes_of(data_dir) == {}


def test_a_killed_user_leaves_nothing(data_dir: Path) -> None:
    process = attached_process(data_dir)
    pid = postmaster(process)
    process.kill()
    process.communicate()
    wait_until(lambda: not processes_of(data_dir), 20, "the services to stop")
    assert not is_alive(pid)


def test_a_killed_keeper_takes_the_services_along_and_they_can_be_started_again(
    data_dir: Path,
) -> None:
    with services_attached(ENV, data_dir) as attachment:
        before = attachment.service_pids()
        os.kill(state_read(keeper.state_path(data_dir))["pid"], signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, before.values())), 20, "the services to end")
        assert attachment.ensure()
        assert query(data_dir, "SELECT 1") == "1"
    assert processes_of(data_dir) == {}


def test_a_killed_postmaster_comes_back_with_its_rows(data_dir: Path) -> None:
    with services_attached(ENV, data_dir) as attachment:
        query(data_dir, "DROP TABLE IF EXISTS kept")
        query(data_dir, "CREATE TABLE kept AS SELECT 42 AS n")
        before = attachment.service_pids()["postgres"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: attachment.service_pids()["postgres"] != before, 20, "a new postmaster")
        wait_until(lambda: is_answering(data_dir), 20, "recovery")
        assert query(data_dir, "SELECT n FROM kept") == "42"


def is_answering(data_dir: Path) -> bool:
    try:
        return query(data_dir, "SELECT 1") == "1"
    except psycopg.OperationalError:
        return False


def test_a_stale_pid_file_of_another_living_process_does_not_block(data_dir: Path) -> None:
    with services_attached(ENV, data_dir):
        text = (data_dir / "postgres" / "postmaster.pid").read_text()
    stale = text.replace(text.split("\n", 1)[0], str(os.getppid()), 1)
    (data_dir / "postgres" / "postmaster.pid").write_text(stale)
    with services_attached(ENV, data_dir):
        assert query(data_dir, "SELECT 1") == "1"


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(Unavailable, match="made by Postgres 12"), services_attached(ENV, tmp_path):
        pass
    assert processes_of(tmp_path) == {}


def test_a_long_folder_with_spaces_works(tmp_path: Path) -> None:
    folder = tmp_path / "with space and 'quote'" / ("x" * 110)
    with services_attached(ENV, folder):
        assert query(folder, "SELECT 1") == "1"
        assert redis.Redis.from_url(addresses(folder).redis_url).ping()
        short = socket_folder(folder)
        assert short.stat().st_mode & 0o777 == 0o700
    assert processes_of(folder) == {}
    assert not short.exists()


def test_a_socket_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    short = socket_folder(folder)
    short.chmod(0o777)
    try:
        with pytest.raises(SettingError, match="not a private folder"):
            socket_folder(folder)
    finally:
        short.rmdir()


def test_the_secret_is_one_for_all_and_private(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from searchapp.environment import environment_read\n"
        "from searchapp.services.addresses import addresses_get\n"
        "print(addresses_get(environment_read({}), Path(sys.argv[1])).secret_key)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "data")]
    made = [
        subprocess.Popen(argv, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    secrets = {process.communicate()[0].strip() for process in made}
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 50
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_named_services_are_used_and_none_is_started(tmp_path: Path) -> None:
    env = environment_read({"DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://cache"})
    with services_attached(env, tmp_path) as attachment:
        assert isinstance(attachment, Attachment)
        assert processes_of(tmp_path) == {}
    assert addresses_get(env, tmp_path).database_url == "postgresql://db/x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try out another user")
@pytest.mark.parametrize("uid", [65534, 64321], ids=["nobody", "without-a-name"])
def test_works_as_an_ordinary_user(uid: int) -> None:
    with tempfile.TemporaryDirectory(prefix="attach-user-") as folder:
        os.chown(folder, uid, uid)
        code = (
            "import sys, psycopg; from pathlib import Path\n"
            "from searchapp.environment import environment_read\n"
            "from searchapp.services.attach import services_attached\n"
            "from searchapp.services.addresses import addresses_get\n"
            "env, place = environment_read({}), Path(sys.argv[1])\n"
            "with services_attached(env, place):\n"
            "    c = psycopg.connect(addresses_get(env, place).database_url)\n"
            "    print(c.execute('SELECT 7').fetchone()[0])\n"
        )
        try:
            done = subprocess.run(
                [sys.executable, "-c", code, str(Path(folder) / "data")],
                cwd=PROJECT_DIR,
                env=environment_clean(HOME=""),
                user=uid,
                group=uid,
                extra_groups=[],
                capture_output=True,
                text=True,
            )
        except PermissionError:
            pytest.skip("another user cannot reach this Python or checkout")
        assert done.stdout.strip() == "7", done.stderr
        assert (Path(folder) / "data" / "postgres").stat().st_uid == uid
