"""What a call that does not fit its function's parameters should have looked like."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import islice
from types import TracebackType
from typing import Any

_MISFIT = re.compile(
    r"(?:[\w.<>]+\.)?(\w+)\(\) (?:takes|missing|got)\b"
    "|missing a required|got an unexpected keyword|too many positional"  # from Signature.bind
)
_OF_CLASSES = ("__init__", "__new__", "__call__")
_OF_MODULES = {"parent", "name"}
"""Flax gives every Linen module these two, for keywords only; nobody has to write them."""
_MOST = 12
"""Characters of a default value."""


def signature_of_misfit(message: str, where: TracebackType, source: str) -> str:
    """``EncoderBlock(num_heads, d_ff)`` where the arguments of a call did not fit; else empty.

    Args:
      message: of the TypeError.
      where: the place in the submission that made the call.
      source: the text of the submission.

    """
    misfit = _MISFIT.match(message)
    called = _call_at(where, source) if misfit else None
    if misfit is None or called is None:
        return ""
    try:
        function = _value(called.func, where)
        signature = _without_those_of_modules(inspect.signature(function))
        named = (*_OF_CLASSES, getattr(function, "__name__", ""))
        if (misfit[1] and misfit[1] not in named) or _fits(called, signature):
            return ""
        return ast.unparse(called.func) + _shown(signature)
    except Exception:  # also whatever the submission's own objects raise when looked at
        return ""


def _without_those_of_modules(signature: inspect.Signature) -> inspect.Signature:
    parameters = signature.parameters
    if not parameters.keys() >= _OF_MODULES:
        return signature
    left = [p for name, p in parameters.items() if name not in _OF_MODULES]
    return signature.replace(parameters=left)


def _fits(called: ast.Call, signature: inspect.Signature) -> bool:
    """Whether the arguments fit: then it was another call, further inside, that did not."""
    names = [keyword.arg for keyword in called.keywords]
    if None in names or any(isinstance(given, ast.Starred) for given in called.args):
        return False
    try:
        signature.bind(*called.args, **dict.fromkeys(filter(None, names)))
    except TypeError:
        return False
    return True


def _call_at(where: TracebackType, source: str) -> ast.Call | None:
    """The call that was being made, found by where Python says the instruction comes from."""
    positions = where.tb_frame.f_code.co_positions()
    place = next(islice(positions, where.tb_lasti // 2, None), None)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            here = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if here == place:
                return node
    return None


def _value(name: ast.expr, where: TracebackType) -> Any:
    """What ``a.b.c`` stands for there; nothing is called for it."""
    if isinstance(name, ast.Attribute):
        return inspect.getattr_static(_value(name.value, where), name.attr)
    if not isinstance(name, ast.Name):
        raise LookupError
    frame = where.tb_frame
    for names in (frame.f_locals, frame.f_globals):
        if name.id in names:
            return names[name.id]
    raise LookupError


def _shown(signature: inspect.Signature) -> str:
    """Without types, and without default values that take much room."""
    empty = inspect.Parameter.empty
    parameters = [
        parameter.replace(annotation=empty, default=_Short(parameter.default))
        if parameter.default is not empty
        else parameter.replace(annotation=empty)
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters))


class _Short:
    """Shows itself as a value does, or as ``…``."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        text = repr(self._value)
        return text if len(text) <= _MOST else "…"
