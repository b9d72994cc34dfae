"""Say in words what a check found: shapes by the names of their axes, errors, parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from grader.engine.layout import Leaf
from grader.engine.slots import Slot
from grader.engine.transplant import Mismatch
from grader.problem import Problem, Sizes


def shape_words(shape: Sequence[int], symbols: Mapping[str, int]) -> str:
    """``(N + 1, D) = (7, 8)``; only the numbers where no axis has a name."""
    names = _by_length(symbols)
    return axes_words(shape, [names.get(n, "") for n in shape])


def _by_length(symbols: Mapping[str, int]) -> dict[int, str]:
    """For each length the first of the names that stand for it."""
    return {length: name for name, length in reversed(list(symbols.items()))}


def axes_words(shape: Sequence[int], names: Sequence[str]) -> str:
    """``(N + 1, D) = (7, 8)`` for the names of the axes; an axis without one has its length."""
    numbers = _tuple(shape)
    named = _tuple([name or n for name, n in zip(names, shape, strict=True)])
    return numbers if named == numbers else f"{named} = {numbers}"


def common_names(drawn: Sequence[tuple[Sequence[int], Mapping[str, int]]]) -> list[str]:
    """For each axis the first name whose length it has in all of some shapes, else nothing.

    With every shape come the lengths that the names stand for there.
    """
    known = list(drawn[0][1]) if drawn else []
    return [
        next((name for name in known if all(s.get(name) == shape[i] for shape, s in drawn)), "")
        for i in range(len(drawn[0][0]) if drawn else 0)
    ]


def _tuple(items: Sequence[object]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(map(str, items))})"


def slot_words(slot: Slot, problem: Problem) -> str:
    """What people call a parameter of the reference."""
    path = slot.path
    for prefix, words in problem.parameters.items():
        if path == prefix:
            return words
        if path.startswith(prefix + "/"):
            return f"{words} ({path.rsplit('/', 1)[-1]})"
    if path.startswith("block_*/"):
        return f"{path.removeprefix('block_*/').replace('/', ' ')} of each block"
    return path.replace("/", " ")


def mismatch_words(mismatch: Mismatch, problem: Problem, sizes: Sizes) -> str:
    """What is missing, what is extra, and which of the two probably belong together."""
    symbols = problem.symbols(sizes)
    missing, extra = list(mismatch.missing), list(mismatch.extra)
    tables = any(slot.role in _TABLES and slot.kind == "random" for slot in missing)
    lines: list[str] = []
    for slot in list(missing):
        twins = [leaf for leaf in extra if _resembles(slot, leaf)]
        alike = [leaf for leaf in twins if leaf.kind == slot.kind]
        twin = next(iter(alike or twins), None)
        if twin is not None:
            missing.remove(slot)
            extra.remove(twin)
            wanted, found = _slot_shape(slot, symbols), _shape_beside(slot, twin, symbols)
            lines.append(f"no {wanted} {slot_words(slot, problem)}; found {found} at '{twin.path}'")
    strange = [f"'{x.path}' {_leaf_shape(x, symbols, tables)}" for x in extra if x.used is not None]
    absent = dict.fromkeys(f"{slot_words(s, problem)} {_slot_shape(s, symbols)}" for s in missing)
    if absent:
        lines.append("missing: " + _few(list(absent)))
    if strange:
        lines.append("not in the reference: " + _few(strange))
    lines += unused_words(extra)
    return "\n".join(lines[:6])


def unused_words(leaves: Sequence[Leaf]) -> list[str]:
    """A line that names the parameters which no result depends on, if there are any."""
    unused = dict.fromkeys(f"'{leaf.path}'" for leaf in leaves if leaf.size and leaf.used is None)
    return ["created but never used: " + _few(list(unused))] if unused else []


def tells_little(mismatch: Mismatch) -> bool:
    """Whether nothing that is missing resembles anything that was found instead."""
    return not any(_resembles(slot, leaf) for slot in mismatch.missing for leaf in mismatch.extra)


def _slot_shape(slot: Slot, symbols: Mapping[str, int]) -> str:
    return axes_words(slot.sizes[2:], _axis_names(slot, symbols))


def _axis_names(slot: Slot, symbols: Mapping[str, int]) -> list[str]:
    own = {"head": "num_heads", "dim": "D / num_heads"}
    names = _by_length(_fitting(slot.role, symbols))
    pairs = zip(slot.names[2:], slot.sizes[2:], strict=True)
    return [own.get(factor) or names.get(length, "") for factor, length in pairs]


def _shape_beside(slot: Slot, leaf: Leaf, symbols: Mapping[str, int]) -> str:
    """The shape of what stands in place of a slot, in the names of the slot's axes.

    Other lengths have no name, as most coincide with some: only widths do, and one row more or
    less than there should be.
    """
    expected = list(zip(_axis_names(slot, symbols), slot.sizes[2:], strict=True))
    widths = {n: name for n, name in _by_length(_fitting("kernel", symbols)).items() if "D" in name}
    names: list[str] = []
    for axis, length in enumerate(reversed(leaf.shape)):
        name, wanted = expected[-1 - axis] if axis < len(expected) else ("", 0)
        if length == wanted:
            names.append(name)
        elif name and length == wanted + 1:
            names.append(f"{name} + 1")
        elif name.endswith(" + 1") and length == wanted - 1:
            names.append(name.removesuffix(" + 1"))
        else:
            names.append(widths.get(length, "") if slot.role == "kernel" else "")
    return axes_words(leaf.shape, names[::-1])


def _leaf_shape(leaf: Leaf, symbols: Mapping[str, int], tables: bool) -> str:
    bias = leaf.role in _TABLES and leaf.kind == "zeros" and not tables
    names = _fitting("bias" if bias else leaf.role, symbols)
    if leaf.role in _TABLES and len(leaf.shape) > 1:  # rows of tokens: no other length is meant
        names = {name: length for name, length in names.items() if name[0] in "NTRD"}
    return shape_words(leaf.shape, names)


_TABLES = ("add", "token")
"""What tables and tokens are used for, biases also."""


def _fitting(role: str, symbols: Mapping[str, int]) -> Mapping[str, int]:
    """Only tables and tokens have rows: elsewhere a length that equals N or T means nothing."""
    if role in ("kernel", "scale", "bias"):
        return {name: length for name, length in symbols.items() if name[0] not in "NT"}
    return symbols


def _few(items: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def _resembles(slot: Slot, leaf: Leaf) -> bool:
    own = [n for n in slot.sizes[2:] if n != 1]
    other = [n for n in leaf.shape if n != 1]
    if slot.role != leaf.role or leaf.used is None:
        return False
    return bool(own and other) and (own[-1] == other[-1] or own[0] == other[0])


def error_words(error: Mapping[str, Any]) -> str:
    """``TypeError: …``, then the submission's own lines with the shapes in them."""
    message = str(error.get("message", "")).strip() or "(no message)"
    first = message.splitlines()[0][:300]
    lines = [_in_line(f"{error.get('type', 'Error')}: {first}")]
    frames = error.get("frames")
    for frame in frames[-2:] if isinstance(frames, list) else []:
        if isinstance(frame, dict):
            code = str(frame.get("code", ""))[:120]
            lines.append(_in_line(f"line {frame.get('line')}: {code}"))
            shapes = frame.get("shapes")
            if isinstance(shapes, dict) and shapes:
                told = ", ".join(f"{k} is {v}" for k, v in list(shapes.items())[:6])
                lines.append(f"  where {_in_line(told)}")
    signature = " ".join(str(error.get("signature", "")).split())[:200]
    if signature:
        lines.append(f"it is called like this: {signature}")
    return "\n".join(lines)


def _in_line(text: str) -> str:
    """A child's words, which may hold ends of lines where none belong."""
    return re.sub(r"[\r\n]", " ", text)


def case_words(sizes: Sizes) -> str:
    """``d_model 6, num_heads 2``: one case in a line."""
    return ", ".join(f"{name} {value}" for name, value in sizes.items())
