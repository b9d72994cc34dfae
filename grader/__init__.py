"""Graded Vision Transformer problems in JAX.  ``python -m grader`` is the way in."""

from __future__ import annotations

from typing import Any

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
