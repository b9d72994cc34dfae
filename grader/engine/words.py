"""Say in words what a check found: shapes by the names of their axes, errors, parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grader.engine.layout import Leaf
from grader.engine.transplant import Mismatch, Slot
from grader.problem import Problem, Sizes


def shape_words(shape: Sequence[int], symbols: Mapping[str, int]) -> str:
    """``(N + 1, D) = (7, 8)``; only the numbers where no axis has a name."""
    names = {length: name for name, length in reversed(list(symbols.items()))}
    numbers = _tuple(shape)
    named = _tuple([names.get(n, n) for n in shape])
    return numbers if named == numbers else f"{named} = {numbers}"


def _tuple(items: Sequence[object]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(map(str, items))})"


def slot_words(slot: Slot, problem: Problem) -> str:
    """What people call a parameter of the reference."""
    path = slot.group.replace("qkv", "query, key, value")
    for prefix, words in problem.parameters.items():
        if path == prefix:
            return words
        if path.startswith(prefix + "/"):
            return f"{words} ({path.rsplit('/', 1)[-1]})"
    if path.startswith("block_*/"):
        return f"{path.removeprefix('block_*/').replace('/', ' ')} of each encoder block"
    return path.replace("/", " ")


def mismatch_words(mismatch: Mismatch, problem: Problem, sizes: Sizes) -> str:
    """What is missing, what is extra, and which of the two probably belong together."""
    symbols = problem.symbols(sizes)
    missing, extra = list(mismatch.missing), list(mismatch.extra)
    lines: list[str] = []
    for slot in list(missing):
        twin = next((leaf for leaf in extra if _resembles(slot, leaf)), None)
        if twin is not None:
            missing.remove(slot)
            extra.remove(twin)
            wanted = shape_words([n for n in slot.sizes[2:]], symbols)
            found = shape_words(twin.shape, symbols)
            lines.append(f"no {wanted} {slot_words(slot, problem)}; found {found} at '{twin.path}'")
    unused = [leaf for leaf in extra if leaf.used is None]
    extra = [leaf for leaf in extra if leaf.used is not None]
    if missing:
        unique = list(
            dict.fromkeys(
                f"{slot_words(slot, problem)} {shape_words(slot.sizes[2:], symbols)}"
                for slot in missing
            )
        )
        lines.append("missing: " + _few(unique))
    if extra:
        lines.append(
            "not in the reference: "
            + _few([f"'{x.path}' {shape_words(x.shape, symbols)}" for x in extra])
        )
    if unused:
        lines.append("created but never used: " + _few([f"'{leaf.path}'" for leaf in unused]))
    return "\n".join(lines[:6])


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
    lines = [f"{error.get('type', 'Error')}: {first}"]
    frames = error.get("frames")
    for frame in frames[-2:] if isinstance(frames, list) else []:
        if isinstance(frame, dict):
            lines.append(f"line {frame.get('line')}: {str(frame.get('code', ''))[:120]}")
            shapes = frame.get("shapes")
            if isinstance(shapes, dict) and shapes:
                lines.append(
                    "  where " + ", ".join(f"{k} is {v}" for k, v in list(shapes.items())[:6])
                )
    return "\n".join(lines)


def case_words(sizes: Sizes) -> str:
    """``d_model 6, num_heads 2``: one case in a line."""
    return ", ".join(f"{name} {value}" for name, value in sizes.items())
