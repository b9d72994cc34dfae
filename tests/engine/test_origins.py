"""Which value was computed from which, and the first that leaves the way."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from grader.engine.origins import INPUT, Origins, first_astray
from tests.engine.evaluating import program_of

X = np.arange(6.0).reshape(2, 3)


def origins(function: Any) -> tuple[list[str], list[list[int]] | None]:
    """The names of what is computed in floats, and what each is made of."""
    names: list[str] = []
    noted = Origins([X])

    def record(eqn: Any, values: list[np.ndarray]) -> None:
        names.extend(eqn.primitive.name for v in values if v.dtype == np.float64)

    program_of(function, X).run([X], record=record, origins=noted)
    return names, noted.made_of


def test_values_are_made_of_others_and_of_inputs() -> None:
    names, made_of = origins(lambda x: jnp.sin(x) * jnp.cos(x) + 1)
    assert names == ["sin", "cos", "mul", "add"]
    assert made_of == [[INPUT], [INPUT], [0, 1], [2]]


def test_what_is_no_float_hands_on_what_it_is_made_of() -> None:
    names, made_of = origins(lambda x: jnp.where(jnp.sin(x) > 0, 1.0, 2.0))
    assert made_of is not None
    assert names.index("sin") in made_of[names.index("select_n")]


def test_rows_and_stacks_of_a_scan_are_followed() -> None:
    def scanned(x: Any) -> Any:
        return jnp.sin(lax.scan(lambda c, row: (c + 1, jnp.cos(row)), 0, jnp.exp(x))[1])

    names, made_of = origins(scanned)
    assert made_of is not None
    assert len(names) == len(made_of)
    exp, first, last = (names.index(name) for name in ("exp", "cos", "sin"))
    second = names.index("cos", first + 1)
    assert made_of[exp] == [INPUT]
    assert made_of[first] == made_of[second] == [exp]
    assert made_of[last] == [first, second]


def test_the_first_astray_is_made_of_right_values_and_leads_to_a_wrong_result() -> None:
    made_of = [[INPUT], [0], [1], [2], [0], [4, 3]]
    right = [True, False, True, False, False, False]
    # 1 leads to a right value, another way of computing it; 3 and 4 leave the way
    assert first_astray(right, made_of, [5]) == [3, 4]
    assert first_astray(right, made_of, [3]) == [3]


def test_what_depends_on_no_input_is_never_astray() -> None:
    made_of: list[list[int]] = [[], [0], [INPUT], [1, 2]]
    assert first_astray([False, False, True, False], made_of, [3]) == [3]
