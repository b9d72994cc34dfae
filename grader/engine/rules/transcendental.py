"""Elementwise exponentials, logarithms, trigonometry and special functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from grader.engine.rules.overflow import limited
from grader.engine.rules.rule import Compute, Rule, always


def _special(name: str) -> Rule:
    """A function of scipy.special, imported only for programs that need it (0.2 s)."""

    def rule(eqn: Any) -> Compute:
        compute: Compute = getattr(import_module("scipy.special"), name)
        return compute

    return rule


def _elementwise(function: Callable[[float], float]) -> Compute:
    """A function of one number on whole arrays: for the few that NumPy lacks."""
    wrapped = np.frompyfunc(function, 1, 1)

    def compute(x: Any) -> Any:
        return np.asarray(wrapped(x)).astype(np.float64)

    return compute


def _erf_inv(eqn: Any) -> Compute:
    """From the standard library: the quantile of the normal distribution."""
    quantile = import_module("statistics").NormalDist().inv_cdf

    def inverse(x: float) -> float:
        if not -1.0 < x < 1.0:
            return math.copysign(math.inf, x) if abs(x) == 1.0 else math.nan
        # Small arguments: (x + 1) / 2 would lose their digits.
        if abs(x) < 1e-5:
            return x * math.sqrt(math.pi) / 2
        # On this side nothing is lost: 1 + x is rounded to 2 just below 1.
        return math.copysign(quantile((1.0 - abs(x)) / 2.0) / math.sqrt(2.0), x)

    return _elementwise(inverse)


def _logistic(x: Any) -> Any:
    return np.reciprocal(1.0 + np.exp(-x))


RULES: dict[str, Rule] = {
    "exp": limited(always(np.exp)),
    "exp2": limited(always(np.exp2)),
    "expm1": limited(always(np.expm1)),
    "log": always(np.log),
    "log2": always(np.log2),
    "log1p": always(np.log1p),
    "logistic": always(_logistic),
    "sin": always(np.sin),
    "cos": always(np.cos),
    "tan": always(np.tan),
    "asin": always(np.arcsin),
    "acos": always(np.arccos),
    "atan": always(np.arctan),
    "atan2": always(np.arctan2),
    "sinh": limited(always(np.sinh)),
    "cosh": limited(always(np.cosh)),
    "tanh": always(np.tanh),
    "asinh": always(np.arcsinh),
    "acosh": always(np.arccosh),
    "atanh": always(np.arctanh),
    "erf": always(_elementwise(math.erf)),
    "erfc": always(_elementwise(math.erfc)),
    "erf_inv": _erf_inv,
    "lgamma": _special("gammaln"),
    "digamma": _special("psi"),
    "igamma": _special("gammainc"),
    "igammac": _special("gammaincc"),
    "regularized_incomplete_beta": _special("betainc"),
    "zeta": _special("zeta"),
    "bessel_i0e": _special("i0e"),
    "bessel_i1e": _special("i1e"),
}
