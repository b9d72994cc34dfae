"""Graded Vision Transformer problems in JAX.  ``python -m grader`` is the way in."""

from __future__ import annotations

from grader.blocks import use

__version__ = "0.1.0"
__all__ = ["__version__", "use"]
