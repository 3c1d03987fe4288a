"""The walls around a render child, raised by its parent and by the child itself.

Knows nothing of formats or of the protocol. What the kernel refuses is reported, not hidden.
"""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import landlock
from .types import RenderLimits, RenderTask

CHILD_MODULE = "searchapp.rendering.child"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_MAX_OPEN_FILES = 512
_HARD_CPU_MARGIN = 5
_PROBE_SECONDS = 20
# Programs, libraries, fonts and their settings; no home folder, no database, no settings of ours.
_SYSTEM_FOLDERS = (
    *("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt", "/etc", "/proc", "/sys", "/dev"),
    *("/var/cache/fontconfig", "/var/lib/libreoffice", "/var/spool/libreoffice"),
)


@dataclass(frozen=True, slots=True)
class Protection:
    """One wall of the sandbox: whether it stands here and, if not, what would raise it."""

    name: str
    active: bool
    hint: str = ""


def child_command() -> list[str]:
    """The command line of a render child, without network where the kernel allows that."""
    return [*_network_wall(), sys.executable, "-P", "-m", CHILD_MODULE]


def child_environment(scratch: Path) -> dict[str, str]:
    """All the child is told of this machine: no secret of the app's environment is in it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_PACKAGE_ROOT),
        "OMP_NUM_THREADS": "1",
    }


@cache
def _network_wall() -> tuple[str, ...]:
    """`unshare -rn` if a child can start behind it: user namespaces are often denied."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    wall = (unshare, "-rn", "--")
    probe = [*wall, sys.executable, "-P", "-c", f"import {CHILD_MODULE}"]
    environment = child_environment(Path("/nonexistent"))
    try:
        finished = subprocess.run(
            probe, env=environment, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return wall if finished.returncode == 0 else ()


def protections() -> tuple[Protection, ...]:
    """The walls and whether each stands on this machine, for `doctor`. Probes once a process."""
    return (
        Protection("process group of its own, killed as a whole", True),
        Protection("environment without secrets", True),
        Protection("limits on memory, CPU time, file size and open files", True),
        _protection("ends with its parent", sys.platform == "linux", "Use Linux."),
        _protection(
            "reads only programs, fonts and its source, writes only its own folder",
            landlock.version() > 0,
            "Use a Linux kernel >= 5.13 with Landlock enabled.",
        ),
        _protection("no network", bool(_network_wall()), _network_hint()),
    )


def _protection(name: str, active: bool, hint: str) -> Protection:
    return Protection(name, active, "" if active else hint)


def _network_hint() -> str:
    rest = "TCP is denied, other protocols are not. " if landlock.restricts_tcp() else ""
    return (
        f"{rest}Install util-linux and allow unprivileged user namespaces (sysctl "
        "kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0), or run the render "
        "workers in a container on an internal-only network."
    )


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, also when it already has."""
    end_with_caller()
    if os.getppid() != parent:
        os._exit(1)


def restrict_files(task: RenderTask) -> None:
    """Let this process read programs, fonts and its source, and write only to the task's folder."""
    libraries = [entry for entry in sys.path if entry and Path(entry) != _PACKAGE_ROOT]
    programs = [sys.prefix, sys.base_prefix, str(_PACKAGE_ROOT / "searchapp"), *libraries]
    office = shutil.which(task.soffice) if task.soffice else None
    if office:
        programs.append(str(Path(office).resolve().parents[1]))
    landlock.restrict_to(
        readable=[task.source, *map(Path, (*_SYSTEM_FOLDERS, *programs))],
        writable=[task.workdir, Path("/dev/null")],
        # LibreOffice cannot be told to put its socket anywhere else.
        sockets=[Path("/tmp")] if task.file_type.kind == "deck" else [],  # noqa: S108
    )


def end_with_caller() -> None:
    """The same without the check, for use between fork and exec."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_resources(limits: RenderLimits) -> None:
    """Set the kernel's limits on memory, time, files and core dumps for this process."""
    cpu = limits.cpu_seconds
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu, cpu + _HARD_CPU_MARGIN),
        (resource.RLIMIT_FSIZE, limits.max_output_bytes, limits.max_output_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES),
    ):
        ceiling = resource.getrlimit(kind)[1]
        allowed = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        resource.setrlimit(kind, (min(soft, allowed), allowed))
