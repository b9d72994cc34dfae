"""Graded Vision Transformer problems in JAX.  ``python -m grader`` is the way in."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036 (a clone can be run by any)
    told = sys.version.split()[0]
    sys.exit(f"grader: Python 3.11 or newer is needed; {sys.executable} is {told}")

from grader.blocks import use

__version__ = "0.1.0"
__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension", "use"]


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext grader``: adds ``%%grade 46`` to a notebook."""
    from grader.study.notebook import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext grader``."""
    from grader.study.notebook import unload

    unload(shell)
