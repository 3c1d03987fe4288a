"""The child process: streams, is confined, dies when it should, and one bad page costs one page."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from searchapp.errors import FileRejected, RenderFailed
from searchapp.rendering import landlock
from searchapp.rendering.confinement import child_command, child_environment, restrict_files
from searchapp.rendering.protocol import decode_item
from searchapp.rendering.sandbox import protections, render
from searchapp.rendering.types import RenderedPage, RenderLimits, RenderTask, SourceFacts

from .documents import collected, make_pdf, make_slow_pdf, picture_of, task_for

PATIENCE = 10.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, tasks.read_text().split())
    return found


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def slow(tmp_path: Path) -> RenderTask:
    """A PDF whose second page never ends."""
    return task_for(make_slow_pdf(tmp_path / "slow.pdf"))


def at_page_two(task: RenderTask) -> tuple[Iterator[SourceFacts | RenderedPage], int]:
    """A render whose child is at the endless page, and the child."""
    before = set(children(os.getpid()))
    items = render(task)
    assert isinstance(next(items), SourceFacts)
    page = next(items)
    assert isinstance(page, RenderedPage)
    assert page.number == 1
    (child,) = set(children(os.getpid())) - before
    return items, child


def test_pages_come_with_files_and_skipped_ones_do_not(tmp_path: Path) -> None:
    task = task_for(make_pdf(tmp_path / "a.pdf", ["one", "two", "three"]))
    facts, pages = collected(list(render(replace(task, skip=frozenset({2})))))
    assert facts.page_count == 3
    assert [(page.number, page.text) for page in pages] == [(1, "one"), (3, "three")]
    assert picture_of(pages[0]).format == "JPEG"
    kept = {path.name for path in task.workdir.iterdir()}
    assert kept == {"00001.jpg", "00001.thumb.webp", "00003.jpg", "00003.thumb.webp"}


def test_a_refusal_crosses_the_border_as_itself(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["x"], password="secret")
    with pytest.raises(FileRejected) as caught:
        list(render(task_for(path)))
    assert caught.value.code == "encrypted_file"
    assert not caught.value.retryable


def test_an_endless_page_costs_only_itself(slow: RenderTask) -> None:
    _, pages = collected(list(render(replace(slow, limits=RenderLimits(page_seconds=2)))))
    assert [(page.number, page.error_code) for page in pages] == [
        (1, ""),
        (2, "page_timeout"),
        (3, ""),
    ]


def test_a_page_that_kills_the_child_costs_only_itself(slow: RenderTask) -> None:
    items, child = at_page_two(slow)
    os.kill(child, signal.SIGSEGV)
    rest = [(page.number, page.error_code) for page in items if isinstance(page, RenderedPage)]
    assert rest == [(2, "render_crashed"), (3, "")]


def test_a_child_killed_from_outside_is_worth_another_try(slow: RenderTask) -> None:
    items, child = at_page_two(slow)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(RenderFailed) as caught:
        next(items)
    assert (caught.value.code, caught.value.retryable) == ("render_crashed", True)


def test_wall_and_cpu_limits(slow: RenderTask) -> None:
    with pytest.raises(RenderFailed) as wall:
        list(render(replace(slow, limits=RenderLimits(wall_seconds=1))))
    assert (wall.value.code, wall.value.retryable) == ("render_timeout", True)
    again = replace(slow, limits=RenderLimits(cpu_seconds=1))
    with pytest.raises(RenderFailed) as cpu:
        list(render(again))
    assert (cpu.value.code, cpu.value.retryable) == ("render_timeout", False)


def test_memory_limit(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (12_000, 12_000)).save(path, compress_level=1)
    limits = RenderLimits(memory_bytes=400_000_000)
    with pytest.raises(RenderFailed) as caught:
        list(render(task_for(path, limits)))
    assert (caught.value.code, caught.value.retryable) == ("render_out_of_memory", False)


def test_output_limit(tmp_path: Path) -> None:
    task = task_for(make_pdf(tmp_path / "a.pdf", ["x"] * 3), RenderLimits(max_output_bytes=40_000))
    with pytest.raises(RenderFailed) as caught:
        list(render(task))
    assert caught.value.code == "output_too_large"


def test_closing_the_iterator_kills_the_child(slow: RenderTask) -> None:
    items, child = at_page_two(slow)
    with closing(items):  # type: ignore[type-var]
        assert is_running(child)
    assert not is_running(child)
    assert not list(slow.workdir.glob("scratch-*"))


def test_the_child_dies_with_its_parent(slow: RenderTask) -> None:
    script = (
        "import sys; from pathlib import Path; from searchapp.rendering.sandbox import render;"
        "from searchapp.rendering.sniffing import sniff;"
        "from searchapp.rendering.types import RenderTask;"
        "source = Path(sys.argv[1]);"
        "items = render(RenderTask(source, sniff(source), Path(sys.argv[2])));"
        "next(items); next(items); sys.stdout.write('ready\\n'); sys.stdout.flush(); next(items)"
    )
    command = [sys.executable, "-c", script, str(slow.source), str(slow.workdir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        (child,) = children(parent.pid)
        assert is_running(child)
        parent.kill()
    wait_for(lambda: not is_running(child))


def test_the_environment_holds_no_secret(slow: RenderTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-tell")
    monkeypatch.setenv("DATABASE_URL", "postgres://user:do-not-tell@db/app")
    items, child = at_page_two(slow)
    with closing(items):  # type: ignore[type-var]
        environment = Path(f"/proc/{child}/environ").read_bytes()
        cores = Path(f"/proc/{child}/limits").read_text()
    names = {entry.partition(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
    assert names <= {*child_environment(slow.workdir), "LC_CTYPE"}
    assert b"do-not-tell" not in environment
    assert "Max core file size        0" in cores


def test_no_network_inside(tmp_path: Path) -> None:
    wall = child_command()[: child_command().index(sys.executable)]
    if not wall:
        pytest.skip("this kernel or container denies user namespaces")
    with socket.create_server(("127.0.0.1", 0)) as server:
        attempt = (
            f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        )
        free = subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False)
        walled = subprocess.run(
            [*wall, sys.executable, "-c", attempt], capture_output=True, check=False
        )
    assert free.returncode == 0
    assert walled.returncode != 0


CONFINED = """
import socket, sys
from pathlib import Path
from searchapp.rendering.confinement import restrict_files
from searchapp.rendering.sniffing import sniff
from searchapp.rendering.types import RenderTask
source, workdir, secret, port = map(Path, sys.argv[1:])
restrict_files(RenderTask(source, sniff(source), workdir))
def outcome(action):
    try:
        action()
    except PermissionError:
        return "denied"
    return "allowed"
print(
    outcome(source.read_bytes),
    outcome(lambda: (workdir / "page").write_bytes(b"x")),
    outcome(secret.read_bytes),
    outcome(lambda: secret.with_name("new").write_bytes(b"x")),
    outcome(lambda: socket.create_connection(("127.0.0.1", int(str(port))))),
)
"""


@pytest.mark.skipif(not landlock.restricts_tcp(), reason="this kernel has no Landlock >= 4")
def test_files_and_ports_out_of_reach(tmp_path: Path) -> None:
    task = task_for(make_pdf(tmp_path / "a.pdf", ["x"]))
    secret = tmp_path / "secret"
    secret.write_text("do-not-tell")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [str(p) for p in (task.source, task.workdir, secret, server.getsockname()[1])]
        command = [sys.executable, "-c", CONFINED, *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["allowed", "allowed", "denied", "denied", "denied"]
    assert restrict_files.__doc__


def test_protections_name_a_remedy_for_what_is_missing() -> None:
    walls = protections()
    assert {"no network", "environment without secrets"} <= {wall.name for wall in walls}
    assert all(bool(wall.hint) is not wall.active for wall in walls)


@pytest.mark.parametrize("name", ["../../etc/passwd", "00001.jpg", "link", "00002.jpg"])
def test_a_hostile_child_cannot_point_at_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "00002.jpg").symlink_to("/etc/hostname")
    (tmp_path / "link").write_bytes(b"")
    page = f'{{"page":{{"number":1,"image":"{name}","thumbnail":null,"words":[],"notices":[]}}}}'
    with pytest.raises(ValueError, match="not there"):
        decode_item(page.encode(), tmp_path)


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"page":{}}', b'{"facts":1}', b"\xff"])
def test_malformed_lines_are_told_from_pages(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(ValueError):
        decode_item(line, tmp_path)
