"""The shipped problems are evaluated with NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest

from grader import catalogue
from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
from grader.engine.reference import Solutions


@pytest.mark.parametrize("number", list(catalogue.names()))
def test_no_primitive_of_a_reference_goes_to_jax(number: int) -> None:
    problem = catalogue.problem(number)
    generator = np.random.default_rng(0)
    draw = draw_sizes(problem, generator, 2)[1]
    for contract in problem.contracts:
        traced = Solutions().trace(number, contract, 0, draw.sizes)
        arrays = draw_arrays(contract, draw.sizes, generator)
        weights = draw_weights(traced.leaves, generator, "ordinary")
        traced.run(weights, arrays)
        traced.initial_values(arrays)
        assert traced.program.fallbacks == set()


@pytest.mark.parametrize("number", list(catalogue.names()))
def test_draws_tell_the_axes_apart_and_repeat_under_a_seed(number: int) -> None:
    problem = catalogue.problem(number)
    first, again, other = (
        [d.fields for d in draw_sizes(problem, np.random.default_rng(seed), 10)]
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other
    assert len({tuple(fields.items()) for fields in first}) == 10
