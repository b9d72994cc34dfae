"""Reading and writing at computed positions: gather, scatter and dynamic slices.

Gather and scatter address windows of the operand. Some axes of the operand are addressed by
index vectors (or by their place in the batch); the windows of all the other axes start at zero.
Both bring the addressed axes to the front, so that NumPy's indexing yields or takes
`batch + window` in that order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from grader.engine.rules.rule import Compute, Rule
from grader.engine.rules.values import held_dtype, is_key

_Start = Callable[[Any], Any]


class _Windows(NamedTuple):
    """Where the windows of a gather or scatter lie in its operand."""

    axes_order: tuple[int, ...]
    """Operand axes, the addressed ones first."""
    cut: tuple[slice, ...]
    """What the windows can reach of the operand in that order."""
    starts: list[_Start]
    """Indices to the batch of window starts, for each addressed axis."""
    limits: list[int | None]
    """The last valid start, None where it is the place in the batch (always valid)."""
    offsets: list[Any]
    """Positions within the window, for each addressed axis, shaped to broadcast."""
    spread: tuple[int, ...]
    """Addressed axes along which the window has more than one element."""
    unaddressed: tuple[int, ...]


def _windows(
    operand: tuple[int, ...],
    batch: tuple[int, ...],
    sizes: Sequence[int],
    index_map: Sequence[int],
    batching: dict[int, int],
) -> _Windows:
    """`sizes` is the window; `batching` maps operand axes to the batch axes they go along."""
    addressed = sorted({*index_map, *batching})
    unaddressed = tuple(axis for axis in range(len(operand)) if axis not in addressed)
    spread = tuple(axis for axis in addressed if sizes[axis] != 1)
    starts: list[_Start] = []
    limits: list[int | None] = []
    offsets: list[Any] = []
    for axis in addressed:
        shape = [1] * len(spread)
        if axis in spread:
            shape[spread.index(axis)] = sizes[axis]
        offsets.append(np.arange(sizes[axis]).reshape(shape))
        if axis in batching:
            starts.append(_place_in_batch(batch, batching[axis]))
            limits.append(None)
        else:
            starts.append(_column(index_map.index(axis)))
            limits.append(operand[axis] - sizes[axis])
    whole = (slice(None),) * len(addressed)
    return _Windows(
        axes_order=(*addressed, *unaddressed),
        cut=whole + tuple(slice(0, sizes[axis]) for axis in unaddressed),
        starts=starts,
        limits=limits,
        offsets=offsets,
        spread=spread,
        unaddressed=unaddressed,
    )


def _place_in_batch(batch: tuple[int, ...], axis: int) -> _Start:
    shape = [1] * len(batch)
    shape[axis] = batch[axis]
    places = np.broadcast_to(np.arange(batch[axis]).reshape(shape), batch)
    return lambda indices: places


def _column(column: int) -> _Start:
    return lambda indices: indices[..., column].astype(np.intp)


def _valid(starts: list[Any], limits: list[int | None]) -> Any:
    valid: Any = np.True_
    for start, limit in zip(starts, limits, strict=True):
        if limit is not None:
            valid = valid & (start >= 0) & (start <= limit)
    return valid


def _clip(starts: list[Any], limits: list[int | None]) -> list[Any]:
    return [
        start if limit is None else np.minimum(np.maximum(start, 0), limit)
        for start, limit in zip(starts, limits, strict=True)
    ]


def _positions(starts: list[Any], windows: _Windows) -> tuple[Any, ...]:
    """One index array per addressed axis, of shape batch + spread window axes."""
    if not windows.spread:
        return tuple(starts)
    room = (1,) * len(windows.spread)
    return tuple(
        start.reshape(start.shape + room) + offset
        for start, offset in zip(starts, windows.offsets, strict=True)
    )


def _fill_value(eqn: Any) -> Any:
    dtype = eqn.outvars[0].aval.dtype
    held = held_dtype(dtype)
    if eqn.params["fill_value"] is not None and not is_key(dtype):
        return np.asarray(eqn.params["fill_value"]).astype(held)
    if held.kind == "i":
        return held.type(np.iinfo(held).min)
    if held.kind == "u":
        return held.type(np.iinfo(held).max)
    return held.type(True) if held.kind == "b" else held.type(np.nan)


def _gather(eqn: Any) -> Compute | None:
    numbers = eqn.params["dimension_numbers"]
    sizes = tuple(eqn.params["slice_sizes"])
    operand, indices = (tuple(var.aval.shape) for var in eqn.invars)
    batch = indices[:-1]
    batching = dict(
        zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    )
    windows = _windows(operand, batch, sizes, tuple(numbers.start_index_map), batching)
    if not windows.starts and math.prod(batch) != 1:
        return None
    fills = eqn.params["mode"].name == "FILL_OR_DROP"
    if fills and held_dtype(eqn.outvars[0].aval.dtype).kind == "V":
        return None
    fill = _fill_value(eqn) if fills else None

    # From (batch, spread, unaddressed) to (batch, operand order), then to the output's order.
    found = windows.spread + windows.unaddressed
    window_order = [len(batch) + found.index(axis) for axis in sorted(found)]
    batch_order = list(range(len(batch)))
    collapsed = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    kept = tuple(size for axis, size in enumerate(sizes) if axis not in collapsed)
    out_rank = len(batch) + len(kept)
    offset_at = {axis: len(batch) + i for i, axis in enumerate(numbers.offset_dims)}
    batch_axes = iter(batch_order)
    out_order = [offset_at[i] if i in offset_at else next(batch_axes) for i in range(out_rank)]
    first_order = (*batch_order, *window_order)
    moves_first = first_order != tuple(range(len(first_order)))
    moves_last = out_order != list(range(out_rank))
    room = (1,) * len(found)
    moves_operand = windows.axes_order != tuple(range(len(operand)))
    cuts = any(sizes[axis] != operand[axis] for axis in windows.unaddressed)

    def gather(x: Any, at: Any) -> Any:
        if moves_operand:
            x = x.transpose(windows.axes_order)
        if cuts:
            x = x[windows.cut]
        wanted = [start(at) for start in windows.starts]
        found_values = x[_positions(_clip(wanted, windows.limits), windows)]
        if fills:
            valid = np.asarray(_valid(wanted, windows.limits))
            if not valid.all():
                if valid.ndim:
                    valid = valid.reshape(valid.shape + room)
                found_values = np.where(valid, found_values, fill)
        if moves_first:
            found_values = found_values.transpose(first_order)
        out = found_values.reshape(batch + kept)
        return out.transpose(out_order) if moves_last else out

    return gather


def _scatter_with(write: Callable[[Any, Any, Any], None], unique_write: Any = None) -> Rule:
    """`unique_write` is a faster writer for positions that are promised not to repeat."""

    def rule(eqn: Any) -> Compute | None:
        if write is _assign and not _keeps_update(eqn.params["update_jaxpr"]):
            return None
        numbers = eqn.params["dimension_numbers"]
        operand, indices, updates = (tuple(var.aval.shape) for var in eqn.invars)
        batch = indices[:-1]
        batching = dict(
            zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
        )
        absent = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
        present = [axis for axis in range(len(operand)) if axis not in absent]
        update_axis = dict(zip(present, numbers.update_window_dims, strict=True))
        sizes = [
            updates[update_axis[axis]] if axis in update_axis else 1 for axis in range(len(operand))
        ]
        index_map = tuple(numbers.scatter_dims_to_operand_dims)
        windows = _windows(operand, batch, sizes, index_map, batching)
        if not windows.starts and math.prod(batch) != 1:
            return None
        clips = eqn.params["mode"].name == "CLIP"
        found = windows.spread + windows.unaddressed
        batch_axes = [i for i in range(len(updates)) if i not in numbers.update_window_dims]
        window_axes = [update_axis[axis] for axis in found if axis in update_axis]
        singles = [i for i in range(len(updates)) if i not in {*batch_axes, *window_axes}]
        update_order = (*batch_axes, *window_axes, *singles)
        update_shape = batch + tuple(sizes[axis] for axis in found)
        put = unique_write if unique_write and eqn.params["unique_indices"] else write

        def scatter(x: Any, at: Any, update: Any) -> Any:
            out = np.array(x)
            target = out.transpose(windows.axes_order)[windows.cut]
            values = update.transpose(update_order).reshape(update_shape)
            starts = [start(at) for start in windows.starts]
            if clips:
                starts = _clip(starts, windows.limits)
            else:
                valid = np.asarray(_valid(starts, windows.limits))
                if not valid.all():
                    if valid.ndim < len(batch):
                        valid = np.broadcast_to(valid, batch)
                    starts = [np.asarray(start)[valid] for start in starts]
                    values = values[valid]
            put(target, _positions(starts, windows), values)
            return out

        return scatter

    return rule


def _keeps_update(combine: Any) -> bool:
    """Whether a scatter's combiner is `lambda old, new: new`."""
    return combine is None or (not combine.eqns and combine.outvars[0] is combine.invars[1])


def _assign(target: Any, positions: Any, values: Any) -> None:
    target[positions] = values


def _add_once(target: Any, positions: Any, values: Any) -> None:
    target[positions] += values


def _dynamic_slice(eqn: Any) -> Compute:
    sizes = tuple(eqn.params["slice_sizes"])
    limits = [d - s for d, s in zip(eqn.invars[0].aval.shape, sizes, strict=True)]

    def cut(x: Any, *starts: Any) -> Any:
        return x[_clamped(starts, limits, sizes)]

    return cut


def _dynamic_update_slice(eqn: Any) -> Compute:
    whole, sizes = (tuple(var.aval.shape) for var in eqn.invars[:2])
    limits = [d - s for d, s in zip(whole, sizes, strict=True)]

    def replace(x: Any, update: Any, *starts: Any) -> Any:
        out = np.array(x)
        out[_clamped(starts, limits, sizes)] = update
        return out

    return replace


def _clamped(
    starts: Sequence[Any], limits: Sequence[int], sizes: Sequence[int]
) -> tuple[slice, ...]:
    firsts = [min(max(int(i), 0), limit) for i, limit in zip(starts, limits, strict=True)]
    return tuple([slice(i, i + size) for i, size in zip(firsts, sizes, strict=True)])


RULES: dict[str, Rule] = {
    "gather": _gather,
    "scatter": _scatter_with(_assign),
    "scatter-add": _scatter_with(np.add.at, _add_once),
    "scatter-sub": _scatter_with(np.subtract.at),
    "scatter-mul": _scatter_with(np.multiply.at),
    "scatter-min": _scatter_with(np.minimum.at),
    "scatter-max": _scatter_with(np.maximum.at),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
}
