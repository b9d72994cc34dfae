"""Transplanted weights give the same function, whatever the layout; and a lie is not matched."""

from __future__ import annotations

import numpy as np
import pytest

from grader.engine.layout import Leaf, arrange, arrangements
from grader.engine.pairing import PART_WAYS, Choices
from grader.engine.transplant import Match, Mismatch, match


def leaf(index: int, path: str, *shape: int, role: str = "kernel", kind: str = "random") -> Leaf:
    return Leaf(index, path, shape, index, role, kind)


REFERENCE = [
    leaf(0, "block_0/attention/query/kernel", 8, 2, 4),
    leaf(1, "block_0/attention/key/kernel", 8, 2, 4),
    leaf(2, "block_0/attention/value/kernel", 8, 2, 4),
    leaf(3, "block_0/attention/out/kernel", 2, 4, 8),
]
WEIGHTS = [np.random.default_rng(i).normal(size=x.shape) for i, x in enumerate(REFERENCE)]


def test_three_denses_in_order_of_use() -> None:
    theirs = [leaf(i, name, 8, 8) for i, name in enumerate(("a", "b", "c", "d"))]
    found = match(REFERENCE, theirs)
    assert isinstance(found, Match)
    for weight, own in zip(found.weights(WEIGHTS), WEIGHTS, strict=True):
        np.testing.assert_array_equal(weight, own.reshape(8, 8))


def test_a_fused_projection_is_the_three_side_by_side() -> None:
    found = match(REFERENCE, [leaf(0, "qkv", 8, 24), leaf(1, "o", 8, 8)])
    assert isinstance(found, Match)
    fused = found.weights(WEIGHTS)[0]
    expected = np.concatenate([w.reshape(8, 8) for w in WEIGHTS[:3]], axis=1)
    np.testing.assert_array_equal(fused, expected)


def test_siblings_and_orders_are_choices() -> None:
    choices = Choices(
        siblings=(2, 0, 1), orders={"block_*/attention/qkv": ("in", "head", "which", "dim")}
    )
    found = match(REFERENCE, [leaf(0, "vqk", 8, 24), leaf(1, "o", 8, 8)], choices)
    assert isinstance(found, Match)
    fused = found.weights(WEIGHTS)[0].reshape(8, 2, 3, 4)
    for place, sibling in enumerate((2, 0, 1)):
        np.testing.assert_array_equal(fused[:, :, place], WEIGHTS[sibling])


def test_layers_stacked_by_scan() -> None:
    reference = [leaf(i, f"block_{i}/mlp_in/kernel", 4, 5) for i in range(3)]
    weights = [np.full((4, 5), float(i)) for i in range(3)]
    found = match(reference, [leaf(0, "scan/dense/kernel", 3, 4, 5)])
    assert isinstance(found, Match)
    np.testing.assert_array_equal(found.weights(weights)[0], np.stack(weights))


@pytest.mark.parametrize("first", [0, 1])
def test_a_table_split_in_two(first: int) -> None:
    reference = [leaf(0, "positions", 5, 4, role="add")]
    shapes = [(1, 4), (4, 4)] if first == 0 else [(4, 4), (1, 4)]
    theirs = [leaf(i, f"pos{i}", *shape, role="add") for i, shape in enumerate(shapes)]
    table = np.arange(20.0).reshape(5, 4)
    seen = set()
    for way in range(2):
        found = match(reference, theirs, Choices(parts=way))
        assert isinstance(found, Match)
        parts = found.weights([table])
        seen.add(tuple(float(part.ravel()[0]) for part in parts))
        assert sorted(np.concatenate([p.ravel() for p in parts])) == sorted(table.ravel())
    assert len(seen) == 2  # which part holds the upper rows is tried both ways


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("axis", range(4))
def test_a_kernel_divided_along_an_axis(axis: int, backwards: bool) -> None:
    kernel = np.arange(2.0 * 4 * 3 * 5).reshape(2, 4, 3, 5)
    ends = {0: [1], 1: [1, 2], 2: [2], 3: [1, 2]}[axis]  # the stretches need not be equal
    wanted = np.split(kernel, ends, axis)
    wanted = wanted[::-1] if backwards else wanted  # in the order in which they are used
    theirs = [leaf(i, f"part{i}", *part.shape) for i, part in enumerate(wanted)]
    reference = [leaf(0, "patch_embed/kernel", *kernel.shape)]
    ways = [match(reference, theirs, Choices(parts=way)) for way in range(PART_WAYS)]
    found = [way.weights([kernel]) for way in ways if isinstance(way, Match)]
    assert any(all(map(np.array_equal, parts, wanted)) for parts in found)


def test_what_is_missing_and_what_is_extra() -> None:
    reference = [
        leaf(0, "positions", 5, 4, role="add"),
        leaf(1, "head/kernel", 4, 7),
        leaf(2, "head/bias", 7, role="add", kind="zeros"),
    ]
    found = match(reference, [leaf(0, "pos", 4, 4, role="add"), leaf(1, "head", 4, 7)])
    assert isinstance(found, Mismatch)
    assert [slot.group for slot in found.missing] == ["positions", "head/bias"]
    assert [x.path for x in found.extra] == ["pos"]


def test_arrangements_start_with_the_order_given() -> None:
    names, sizes = ("height", "width", "channel", "out"), (2, 2, 3, 5)
    orders = list(arrangements(names, sizes, (12, 5)))
    assert orders[0] == names
    assert ("channel", "height", "width", "out") in orders
    kernel = np.random.default_rng(0).normal(size=sizes)
    moved = arrange(kernel, names, ("channel", "height", "width", "out"), (12, 5))
    np.testing.assert_array_equal(moved, kernel.transpose(2, 0, 1, 3).reshape(12, 5))


def test_an_axis_for_each_factor_comes_before_what_is_flattened_or_split() -> None:
    names, sizes = ("layer", "which", "in", "head", "dim"), (1, 1, 8, 2, 4)
    assert arrangements(names, sizes, (2, 4, 8))[0] == ("head", "dim", "in")
    assert ("in", "head", "dim") in arrangements(names, sizes, (2, 4, 8))


def test_query_key_and_value_may_each_have_a_layout_of_its_own() -> None:
    shapes = [(2, 8, 4), (8, 2, 4), (2, 4, 8), (8, 8)]
    theirs = [leaf(i, str(i), *shape) for i, shape in enumerate(shapes)]
    found = match(REFERENCE, theirs, Choices(pairing=1))  # the value has the shape of the output
    assert isinstance(found, Match)
    query, key, value, _ = found.weights(WEIGHTS)
    np.testing.assert_array_equal(query, WEIGHTS[0].transpose(1, 0, 2))
    np.testing.assert_array_equal(key, WEIGHTS[1])
    np.testing.assert_array_equal(value, WEIGHTS[2].transpose(1, 2, 0))


def test_a_layout_of_one_alone_is_remembered_where_shapes_do_not_tell() -> None:
    group = "block_*/attention/qkv"
    orders = {group: ("in", "head", "dim"), f"{group}#1": ("head", "dim", "in")}
    theirs = [leaf(i, str(i), 8, 8) for i in range(4)]
    found = match(REFERENCE, theirs, Choices(orders=orders))
    assert isinstance(found, Match)
    query, key, value, _ = found.weights(WEIGHTS)
    np.testing.assert_array_equal(query, WEIGHTS[0].reshape(8, 8))
    np.testing.assert_array_equal(key, WEIGHTS[1].reshape(8, 8).T)
    np.testing.assert_array_equal(value, WEIGHTS[2].reshape(8, 8))
    assert found.orders_used()[f"{group}#1"] == ("head", "dim", "in")


def test_heads_may_be_counted_from_the_last() -> None:
    orders = {"block_*/attention/out/kernel": ("-head", "dim", "out")}
    theirs = [leaf(i, str(i), 8, 8) for i in range(4)]
    found = match(REFERENCE, theirs, Choices(orders=orders))
    assert isinstance(found, Match)
    np.testing.assert_array_equal(found.weights(WEIGHTS)[3], WEIGHTS[3][::-1].reshape(8, 8))


def projections(names: str, biases: str) -> list[Leaf]:
    """Kernels and biases in the order of use, with biases only where they are asked for."""
    paths = []
    for name in names:
        paths += [f"{name}/kernel"] + [f"{name}/bias"] * (name in biases)
    return [
        leaf(i, path, 8, role="add", kind="zeros") if "bias" in path else leaf(i, path, 8, 8)
        for i, path in enumerate(paths)
    ]


@pytest.mark.parametrize(
    ("names", "biases", "missing"),
    [
        ("qkvo", "qvo", "key"),
        ("qkvo", "kvo", "query"),
        ("qkvo", "qko", "value"),
        ("qkvo", "qkv", "out"),
        ("vkqo", "kqo", "value"),
        ("abco", "bco", "query"),
        ("qkvo", "qo", "key, value"),
    ],
)
def test_the_bias_that_is_missing_is_told_by_what_stands_around(
    names: str, biases: str, missing: str
) -> None:
    reference = []
    for name in ("query", "key", "value", "out"):
        kernel = (2, 4, 8) if name == "out" else (8, 2, 4)
        bias = (8,) if name == "out" else (2, 4)
        i = len(reference)
        reference.append(leaf(i, f"attention/{name}/kernel", *kernel))
        reference.append(leaf(i + 1, f"attention/{name}/bias", *bias, role="add", kind="zeros"))
    found = match(reference, projections(names, biases))
    assert isinstance(found, Mismatch)
    assert not found.extra
    told = ", ".join(slot.path.split("/")[1] for slot in found.missing)
    assert told == missing
