"""Which files a submission may read and write (Linux, Landlock).

It may read Python, its packages and the system's libraries, and write in its scratch folder.
Closed are home folders, other people's answers, and those of the grader's own folders that hold
answers.  Landlock needs no rights and nothing to install; the kernel knows it from 5.13 on.

Source: the kernel's documentation, ``userspace-api/landlock.rst``.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every machine
_ASK_VERSION = 1
_NO_NEW_PRIVILEGES = 38

_WRITE_FILE, _READ_FILE, _READ_FOLDER, _TRUNCATE = (1 << bit for bit in (1, 2, 3, 14))
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = (1 << bit for bit in (4, 5, 7, 8))
_KNOWN_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights each version of Landlock knows; from the fifth on there are 16."""
_TCP = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS = 0b11

_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/proc/self", "/sys")
_SYSTEM_FILES = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/os-release",
)


def restrict_files(libc: ctypes.CDLL, scratch: str, closed: Iterable[str]) -> str | None:
    """Put the rules on this process; None, or why that is not possible.

    Args:
      libc: the C library, with ``use_errno``.
      scratch: the folder that it may write in.
      closed: folders that stay unreadable even where a readable one contains them.

    """
    if not sys.platform.startswith("linux"):
        return "only Linux has Landlock"
    version = libc.syscall(_CREATE, None, 0, _ASK_VERSION)
    if version < 1:
        return f"this kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    known = (1 << _KNOWN_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("=Q", known)
    if version >= 4:
        attributes += struct.pack("=Q", _TCP)
    if version >= 6:
        attributes += struct.pack("=Q", _SIGNALS_AND_ABSTRACT_SOCKETS)
    rules = libc.syscall(_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return f"the kernel refused Landlock rules ({os.strerror(ctypes.get_errno())})"
    try:
        barred = [os.path.realpath(folder) for folder in closed]
        read = _READ_FILE | _READ_FOLDER
        for path, contents in _readable(barred):
            _allow(libc, rules, path, read if contents else _READ_FOLDER)
        make = _MAKE_FOLDER | _MAKE_FILE | _REMOVE_FOLDER | _REMOVE_FILE
        write = _WRITE_FILE | _TRUNCATE | make
        _allow(libc, rules, scratch, (read | write) & known)
        _allow(libc, rules, os.devnull, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & known)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if libc.syscall(_RESTRICT, rules, 0) != 0:
            return f"the kernel refused Landlock rules ({os.strerror(ctypes.get_errno())})"
    finally:
        os.close(rules)
    return None


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        libc.syscall(_ADD, rules, 1, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _readable(closed: list[str]) -> Iterator[tuple[str, bool]]:
    """What may be read; with False, only the names in the folder."""
    here = os.path.realpath(Path(__file__).parents[2])
    own = os.path.join(here, "grader")
    closed = [*closed, *_rest_of(here)]
    roots = [sys.prefix, sys.base_prefix, sys.exec_prefix, *_SYSTEM, *_SYSTEM_FILES, own]
    roots += [entry for entry in sys.path if entry]
    for name in ("jax", "jaxlib", "flax", "optax", "numpy"):
        roots += getattr(sys.modules.get(name), "__path__", ())
    for root in dict.fromkeys(map(os.path.realpath, roots)):
        if root in (os.sep, here, os.path.realpath(os.path.expanduser("~"))):
            continue  # on the path, perhaps, but full of what is nobody's business
        yield from _without(root, closed)


def _rest_of(here: str) -> list[str]:
    """What lies beside the grader: the history, say, or answers; but not a Python kept there.

    The working copy may itself lie in what is readable, as in ``src`` of an environment.
    """
    if not os.path.exists(os.path.join(here, "pyproject.toml")):
        return []
    python = (sys.prefix, sys.base_prefix, *filter(None, sys.path))
    kept = [os.path.join(here, "grader"), *map(os.path.realpath, python)]
    with os.scandir(here) as found:
        entries = [entry.path for entry in found if not entry.is_symlink()]
    return [e for e in entries if not any(f"{path}/".startswith(f"{e}/") for path in kept)]


def _without(folder: str, closed: list[str]) -> Iterator[tuple[str, bool]]:
    """``folder``, or what is in it where it contains closed ones."""
    inside = folder + os.sep
    if any(inside.startswith(barred + os.sep) for barred in closed):
        return
    if not any(barred.startswith(inside) for barred in closed):
        yield folder, True
        return
    yield folder, False
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        if not os.path.islink(path):
            yield from _without(path, closed)
