"""``extra_head_pool``: how it is called, and what holds for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Property, Run, Sizes
from grader.specs.shapes import patches


def _tokens(sizes: Sizes) -> ArraySpec:
    return ArraySpec((patches(sizes), sizes["width"]), scale=sizes["token_scale"])


def _call(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The pair, and the probabilities without a temperature."""
    tokens, num_heads = arrays["tokens"], sizes["num_heads"]
    embedding, probs = _pair(function(tokens, num_heads, sizes["temperature"]))
    _, default = _pair(function(tokens, num_heads))
    return {
        "embedding": embedding,
        "probs": probs,
        "probs with the default temperature": default,
    }


def _pair(result: Any) -> Any:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError("extra_head_pool must return a pair, (embedding, probs)")
    return result


def _sum_to_one(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    probs = run(arrays)[1]
    return bool(abs(probs.sum() - 1) < 1e-6 and probs.min() >= 0)


def _within(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    embedding = run(arrays)[0]
    heads = sizes["num_heads"]
    tokens = arrays["tokens"]
    features = tokens.reshape(len(tokens), heads, -1)[:, :, :-1].reshape(len(tokens), -1)
    slack = 1e-6 * abs(features).max()
    low, high = features.min(axis=0) - slack, features.max(axis=0) + slack
    return bool(((low <= embedding) & (embedding <= high)).all())


CONTRACT = Contract(
    function="extra_head_pool",
    arguments=("tokens", "num_heads", "temperature"),
    outputs=("embedding", "probs", "probs with the default temperature"),
    arrays=lambda sizes: {"tokens": _tokens(sizes)},
    properties=(
        Property("the probabilities sum to 1", _sum_to_one),
        Property("the embedding lies in the convex hull of the patches", _within),
    ),
    call=_call,
    creates_parameters=False,
)
