"""What the references must have in common with each other, beside the numbers."""

from __future__ import annotations

import numpy as np

from grader import catalogue
from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
from grader.engine.reference import Solutions
from grader.engine.traced import Traced
from grader.engine.transplant import Match, match


def drawn(number: int, index: int = 1) -> tuple[Traced, list[np.ndarray], list[np.ndarray], dict]:
    problem = catalogue.problem(number)
    generator = np.random.default_rng(2)
    draw = draw_sizes(problem, generator, index + 1)[index]
    contract = problem.contracts[-1]
    traced = Solutions().trace(number, contract, 0, draw.sizes)
    weights = draw_weights(traced.leaves, generator, "ordinary")
    return traced, weights, draw_arrays(contract, draw.sizes, generator), dict(draw.sizes)


def test_without_registers_47_is_46() -> None:
    problem = catalogue.problem(47)
    generator = np.random.default_rng(3)
    draws = draw_sizes(problem, generator, 30)
    sizes = next(dict(d.sizes) for d in draws if d.sizes["num_registers"] == 0)
    solutions = Solutions()
    registers = solutions.trace(47, problem.contracts[0], 0, sizes)
    plain = solutions.trace(46, catalogue.problem(46).contracts[0], 0, sizes)
    weights = draw_weights(plain.leaves, generator, "ordinary")
    paired = match(plain.leaves, registers.leaves)
    assert isinstance(paired, Match)
    image = draw_arrays(problem.contracts[0], sizes, generator)
    logits = registers.run(paired.weights(weights), image)[0]
    np.testing.assert_allclose(logits, plain.run(weights, image)[0], rtol=1e-12)


def test_positions_make_46_see_the_order_of_the_patches() -> None:
    traced, weights, (image,), sizes = drawn(46)
    p = sizes["patch_size"]
    h, w, c = image.shape
    patches = image.reshape(h // p, p, w // p, p, c)
    turned = patches[::-1, :, ::-1].reshape(image.shape)
    before, after = traced.run(weights, [image])[0], traced.run(weights, [turned])[0]
    assert np.abs(before - after).max() > 1e-3
    blank = [
        np.zeros_like(x) if leaf.path == "positions" else x
        for leaf, x in zip(traced.leaves, weights, strict=True)
    ]
    one, other = traced.run(blank, [image])[0], traced.run(blank, [turned])[0]
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_order_of_the_tokens_means_nothing_to_the_block() -> None:
    traced, weights, (x,), _ = drawn(41)
    order = np.random.default_rng(0).permutation(len(x))
    plain = traced.run(weights, [x])[0]
    np.testing.assert_allclose(traced.run(weights, [x[order]])[0], plain[order], rtol=1e-9)
