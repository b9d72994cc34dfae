"""What does not fit into memory is one line that says what to make smaller.

A GPU refuses what is too much.  A machine's own memory is promised before it is there: a program
that needs more of it is begun, hears no signal meanwhile, and is killed by the system in the end.
So on CPUs the sizes that XLA has worked out are looked at before a program is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.stages import Compiled

from solutions.training.one_line import one_line

_SMALLER = (
    "make batch_size, image_size or the model (width, mlp, depth) smaller; with several devices "
    "--fsdp divides parameters and optimiser among them"
)
_REFUSED = ("RESOURCE_EXHAUSTED", "out of memory", "OUT_OF_MEMORY")
"""In errors of XLA's."""


class NoRoom(RuntimeError):
    """Something does not fit into memory; the message says what to make smaller."""


def machine_memory() -> int:
    """Bytes that this machine has; endless where that is not told."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):
        return sys.maxsize


def fitting(program: Compiled, what: str) -> Compiled:
    """The program, if this machine has the memory that it needs; others than CPUs are not asked.

    Args:
      program: not yet called.
      what: it does, to be told.

    Raises:
      NoRoom: it needs more.

    """
    devices, sizes = program.runtime_executable().local_devices(), program.memory_analysis()
    if devices[0].platform != "cpu" or sizes is None:
        return program
    of_one = sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes
    needed = (of_one - sizes.alias_size_in_bytes) * len(devices)
    if needed > machine_memory():
        raise NoRoom(
            f"{what} needs {_gigabytes(needed)} GB of memory, and this machine has "
            f"{_gigabytes(machine_memory())}; {_SMALLER}"
        )
    return program


def _gigabytes(count: int) -> str:
    value = count / 1e9
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


@contextmanager
def memory_told() -> Iterator[None]:
    """Within this block memory that is refused is told in a line.

    Raises:
      NoRoom: it is.

    """
    try:
        yield
    except MemoryError as error:
        raise NoRoom(_told(error)) from error
    except jax.errors.JaxRuntimeError as error:
        if not any(word in str(error) for word in _REFUSED):
            raise
        raise NoRoom(_told(error)) from error


def _told(error: Exception) -> str:
    return f"this does not fit into memory ({one_line(error)}); {_SMALLER}"
