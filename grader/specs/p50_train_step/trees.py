"""Parameters by their paths: ``{"a/b": x}``, and as the nested dict that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unflattened(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a/b": x}`` as the nested dict ``{"a": {"b": x}}``."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *modules, name = path.split("/")
        inner = tree
        for module in modules:
            inner = inner.setdefault(module, {})
        inner[name] = leaf
    return tree


def leaf(tree: Any, path: str) -> Any:
    """What lies under ``"a/b"`` in a nested dict."""
    for name in path.split("/"):
        tree = tree[name]
    return tree
