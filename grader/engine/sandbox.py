"""Tie the hands of the process that is about to run a submission.

Three layers: limits that every Unix has, rules for files (Landlock) and a list of system calls
that are refused (seccomp).  None needs root or anything to install.  What a machine does not
offer is returned in words, for the report: a submission is never graded less safely in silence.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import posix
import resource
import struct
import sys
import tempfile
from collections.abc import Iterable

from grader.engine.sandbox_calls import die_with_parent, refuse_calls
from grader.engine.sandbox_files import restrict_files

MEMORY = 2**30
"""Bytes that a submission may write to, before what threads need; JAX itself takes 0.25 GiB."""
LARGEST_FILE = 16 * 2**20
_RESERVE = 64 * 2**20
"""What is left to tell a ``MemoryError`` with."""
_OPEN_FILES = 256
_THREADS_OF_A_CORE = 64 * 2**20
_ADDRESSES = 8 * 2**30
"""Bytes of address space: XLA reserves much more than it uses, and aborts below 2 GiB."""

_KEPT = (
    "PATH",
    "LANG",
    "TZ",
    "JAX_PLATFORMS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
)


def isolate(scratch: str, seconds: float, parent: int, closed: Iterable[str]) -> list[str]:
    """Restrict this process for good; one line for each protection that is not available.

    Args:
      scratch: its working folder, the only one that it may write in.
      seconds: how long the judge will wait for it.
      parent: the process that waits for it.
      closed: folders that it must not read.

    """
    libc = ctypes.CDLL(None, use_errno=True)
    die_with_parent(libc, parent)
    clean_environment(scratch)
    missing = limit_resources(seconds)
    if sys.platform.startswith("linux"):
        _drop_capabilities(libc)
    why = restrict_files(libc, scratch, closed)
    if why is not None:
        missing.append(f"files are not closed to the answer: {why}")
    why = refuse_calls(libc)
    if why is not None:
        missing.append(f"network and other processes are not closed to the answer: {why}")
    return missing


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Give up what root may do beyond its own files, such as raising its limits again."""
    version_3, this_process = 0x20080522, 0
    libc.capset(struct.pack("=Ii", version_3, this_process), bytes(6 * 4))


def memory_limit() -> int:
    """Bytes of memory that a submission may use; every core brings threads with their stacks."""
    return MEMORY + (os.cpu_count() or 1) * _THREADS_OF_A_CORE


def limit_resources(seconds: float) -> list[str]:
    """CPU time, memory, sizes and numbers of files; what could not be limited, in words."""
    cores = os.cpu_count() or 1
    cpu = int(seconds * cores) + 2
    wanted = {
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_FSIZE": (LARGEST_FILE, LARGEST_FILE),
        "RLIMIT_NOFILE": (_OPEN_FILES, _OPEN_FILES),
        "RLIMIT_CPU": (cpu, cpu + 1),
        "RLIMIT_DATA": (memory_limit(), memory_limit() + _RESERVE),
    }
    if sys.platform.startswith("linux"):
        addresses = _ADDRESSES + cores * 16 * _THREADS_OF_A_CORE
        wanted["RLIMIT_AS"] = (addresses, addresses + _RESERVE)
        missing = []
    else:
        # There the kernel takes RLIMIT_DATA without acting on it.
        missing = [f"memory is not limited: {platform.system()} has no such limit"]
    for name, (soft, hard) in wanted.items():
        number = getattr(resource, name)
        _, most = resource.getrlimit(number)
        endless = most == resource.RLIM_INFINITY
        limits = (soft, hard) if endless else (min(soft, most), min(hard, most))
        try:
            resource.setrlimit(number, limits)
        except (ValueError, OSError) as error:
            missing.append(f"{name} could not be set: {error}")
    return missing


def open_the_reserve() -> None:
    """After a ``MemoryError``: allow the last bit, so that it can be told."""
    with contextlib.suppress(ValueError, OSError):
        for number in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
            _, hard = resource.getrlimit(number)
            resource.setrlimit(number, (hard, hard))


def clean_environment(scratch: str) -> None:
    """Leave only what Python and JAX need; tokens and passwords are nobody's business."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")
    }
    os.environ.clear()
    posix.environ.clear()  # the copy that os.environ was made from
    if sys.platform.startswith("linux"):
        _wipe_the_first_environment()
    os.environ.update(kept, HOME=scratch, TMPDIR=scratch, PYTHONDONTWRITEBYTECODE="1")
    tempfile.tempdir = scratch  # it was chosen once for all, for the judge
    sys.dont_write_bytecode = True


def _wipe_the_first_environment() -> None:
    """Overwrite what the process was started with: it would stay readable in ``/proc``."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        start, end = int(fields[47]), int(fields[48])
        if 0 < start < end:
            ctypes.memset(start, 0, end - start)
