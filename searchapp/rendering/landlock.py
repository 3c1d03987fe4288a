"""Linux Landlock: this process and its children may touch only the named paths, and no TCP port.

Knows only the kernel's interface (three system calls, without a C library's help). Needs no rights,
so it also stands in containers where user namespaces are denied.
"""

import ctypes
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

# System call numbers, the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_SOCKET, _TRUNCATE = 1 << 5, 1 << 9, 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Rights each version of the interface added: all known ones must be named to be denied.
_FS_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE}
_TCP_RIGHTS = 0b11  # bind, connect
_TCP_VERSION = 4

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64)]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("rights", ctypes.c_uint64), ("parent", ctypes.c_int32)]


@cache
def version() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


def restricts_tcp() -> bool:
    """Whether this kernel's Landlock can also deny TCP."""
    return version() >= _TCP_VERSION


def restrict_to(
    *, readable: Iterable[Path], writable: Iterable[Path], sockets: Iterable[Path] = ()
) -> None:
    """Deny this process all other files and all TCP; does nothing where the kernel cannot.

    sockets: folders where sockets may be made and files removed. Paths that do not exist are left
    out. Raises OSError if the kernel has Landlock but refuses.
    """
    if not version():
        return
    rights = sum(bits for since, bits in _FS_RIGHTS_BY_VERSION.items() if since <= version())
    tcp = _TCP_RIGHTS if restricts_tcp() else 0
    attributes = _Ruleset(rights, tcp)
    size = ctypes.sizeof(attributes) if tcp else 8
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0))
    for path in readable:
        _allow(ruleset, path, _READ)
    for path in writable:
        _allow(ruleset, path, rights)
    for path in sockets:
        _allow(ruleset, path, _MAKE_SOCKET | _REMOVE_FILE)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        known = rights if path.is_dir() else rights & _FILE_RIGHTS
        rule = _PathRule(known, descriptor)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
