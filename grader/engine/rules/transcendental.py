"""Elementwise exponentials, logarithms, trigonometry and special functions."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule, always


def _special(name: str) -> Rule:
    """A function of scipy.special, imported only for programs that need it (0.2 s)."""

    def rule(eqn: Any) -> Compute:
        compute: Compute = getattr(import_module("scipy.special"), name)
        return compute

    return rule


def _logistic(x: Any) -> Any:
    return np.reciprocal(1.0 + np.exp(-x))


RULES: dict[str, Rule] = {
    "exp": always(np.exp),
    "exp2": always(np.exp2),
    "expm1": always(np.expm1),
    "log": always(np.log),
    "log1p": always(np.log1p),
    "logistic": always(_logistic),
    "sin": always(np.sin),
    "cos": always(np.cos),
    "tan": always(np.tan),
    "asin": always(np.arcsin),
    "acos": always(np.arccos),
    "atan": always(np.arctan),
    "atan2": always(np.arctan2),
    "sinh": always(np.sinh),
    "cosh": always(np.cosh),
    "tanh": always(np.tanh),
    "asinh": always(np.arcsinh),
    "acosh": always(np.arccosh),
    "atanh": always(np.arctanh),
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "erf_inv": _special("erfinv"),
    "lgamma": _special("gammaln"),
    "digamma": _special("psi"),
    "igamma": _special("gammainc"),
    "igammac": _special("gammaincc"),
    "regularized_incomplete_beta": _special("betainc"),
    "zeta": _special("zeta"),
    "bessel_i0e": _special("i0e"),
    "bessel_i1e": _special("i1e"),
}
