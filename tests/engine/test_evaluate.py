"""The interpreter: control flow, calls, liveness, hooks, fallbacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import Primitive

from tests.engine.evaluating import X, agrees, program_of


def evaluated(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """The names of the leaf equations that are evaluated, in order."""
    names: list[str] = []
    program_of(function, *arguments).run(
        arguments, record=lambda eqn, outputs: names.append(eqn.primitive.name)
    )
    return names


# Control flow.


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool) -> None:
    def accumulate(x: Any) -> Any:
        return lax.scan(lambda c, row: (c * 0.5 + row, (c, row[0])), x[0], x, reverse=reverse)

    agrees(accumulate, X)


def test_scan_without_iterations_or_inputs() -> None:
    agrees(lambda x: lax.scan(lambda c, row: (c + row, c), x[0], x[:0]), X)
    agrees(lambda x: lax.scan(lambda c, _: (c * 2, c), x, None, length=3), X)


def test_scan_of_integers_keeps_their_dtype() -> None:
    program = program_of(
        lambda n: lax.scan(lambda c, _: (c * 3, c), n, None, length=30), np.int32(7)
    )
    last, steps = program.run([np.int32(7)])
    assert last.dtype == steps.dtype == np.int32
    assert last == np.int32((7 * 3**30 + 2**31) % 2**32 - 2**31)


def test_while_and_fori_loops() -> None:
    agrees(lambda x: lax.while_loop(lambda c: jnp.sum(c) < 100, lambda c: c + jnp.max(x), x), X)
    agrees(lambda x: lax.fori_loop(0, 3, lambda i, c: c + x[i], jnp.zeros(4)), X)
    agrees(lambda x, n: lax.fori_loop(0, n, lambda i, c: c * 1.5 - i, x), X, np.int32(4))
    agrees(
        jax.vmap(
            lambda n: lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] * 2, c[1] + n), (1, X))
        ),
        np.arange(9, dtype=np.int32),
    )


def test_cond_and_switch() -> None:
    for flag in (True, False):
        agrees(lambda x, f: lax.cond(f, jnp.sin, lambda x: x * 2, x), X, np.bool_(flag))
    for index in range(-2, 5):
        branches = [jnp.sin, jnp.cos, lambda x: x + 1]
        agrees(lambda x, i, branches=branches: lax.switch(i, branches, x), X, np.int32(index))
    agrees(jax.vmap(lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)), X)


def test_only_the_chosen_branch_is_evaluated() -> None:
    def choose(x: Any) -> Any:
        return lax.cond(x > 0, jnp.sin, jnp.cos, x)

    assert "sin" in evaluated(choose, np.float32(1))
    assert "cos" not in evaluated(choose, np.float32(1))


def test_other_loops() -> None:
    agrees(lambda x: lax.map(jnp.sum, x), X)
    agrees(lambda x: lax.associative_scan(jnp.add, x), X)
    agrees(jax.grad(lambda x: jnp.sum(lax.scan(lambda c, r: (jnp.sin(c * r), c), x[0], x)[1])), X)


# Calls.


@jax.custom_vjp
def doubled(x: Any) -> Any:
    return 2 * x


doubled.defvjp(lambda x: (doubled(x), x), lambda x, t: (3 * t + jnp.cos(x),))


@jax.custom_jvp
def clipped(x: Any) -> Any:
    return jnp.maximum(x, 0)


clipped.defjvp(lambda xs, ts: (clipped(xs[0]), ts[0] * (xs[0] > 0.2)))


@jax.custom_batching.custom_vmap
def batched(x: Any) -> Any:
    return x + 1


@batched.def_vmap
def batched_rule(axis_size: int, in_batched: list[bool], x: Any) -> Any:
    return x + 1, in_batched[0]


def named_sine(x: Any) -> Any:
    return jnp.sin(jax.ad_checkpoint.checkpoint_name(jnp.exp(x), "exp"))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jax.jit(lambda x: (x + 1, x * 2))(x)[1],
        doubled,
        jax.grad(lambda x: jnp.sum(doubled(x) ** 2)),
        clipped,
        jax.grad(lambda x: jnp.sum(clipped(x) ** 2)),
        batched,
        jax.checkpoint(named_sine),
        jax.grad(lambda x: jnp.sum(jax.checkpoint(named_sine)(x))),
        jax.grad(
            lambda x: jnp.sum(
                jax.checkpoint(
                    named_sine, policy=jax.checkpoint_policies.save_only_these_names("exp")
                )(x)
            )
        ),
        lax.composite(lambda x: x + 1, "test.add_one"),
        lambda x: lax.optimization_barrier((x, x + 1)),
        lambda x: jax.device_put(lax.stop_gradient(x)),
        jax.hessian(lambda x: jnp.sum(jnp.tanh(x) ** 3)),
        jax.jacfwd(jax.nn.softmax),
        jax.vmap(jax.nn.logsumexp),
        lambda x: jnp.einsum("ij,kj->ik", x, x),
        lambda x: (jnp.median(x), jnp.quantile(x, 0.3), jnp.std(x), jnp.linalg.norm(x)),
        lambda x: (x[:, [2, 0]], x[x[:, 0].argmax()], jnp.take_along_axis(x, x.argsort(1), 1)),
        lambda x: (x.at[1].set(0), x.at[:, [1, 1]].add(1), x.at[0].multiply(2)),
        lambda x: (jnp.where(x > 0, x, -x), jnp.clip(x, -1, 1), jnp.roll(x, 1, 0), jnp.tril(x)),
        lambda x: (x**3, x**-2, jnp.abs(x) ** 1.5, x // 0.5, x % 0.75, jnp.sign(x)),
        lambda x: (jnp.arange(9) // 4, jnp.arange(9) % 4, jnp.arange(9) ** 2),
        lambda x: (jax.nn.one_hot(jnp.argmax(x, 1), 5), jnp.bincount(jnp.argmax(x, 1), length=4)),
        lambda x: jax.nn.dot_product_attention(*[x.reshape(1, 3, 2, 2)] * 3),
        lambda x: (jax.nn.gelu(x), jax.nn.gelu(x, approximate=False), jax.nn.silu(x)),
    ],
)
def test_calls_and_library_functions(function: Callable[..., Any]) -> None:
    agrees(function, X)


def test_constants_are_part_of_the_program() -> None:
    table, key = jnp.arange(3.0), jax.random.key(4)
    agrees(lambda x: x[:, 0] * table + jax.random.uniform(key, (3,)), X)


# Liveness.


def test_a_number_is_the_same_however_jax_keeps_it() -> None:
    """Beside an integer 0.999 stays Python's, beside a float it becomes float32's."""
    forms = (
        lambda t: 1 - 0.999**t,
        lambda t: 1 - 0.999 ** t.astype(jnp.float32),
        lambda t: 1 - jnp.array([0.999]) ** t,
    )
    steps = np.arange(1, 4)
    for form in forms:
        (found,) = program_of(form, steps).run([steps])
        np.testing.assert_allclose(found, 1 - 0.999**steps, rtol=1e-12)


def test_the_largest_number_of_float32_stays_one() -> None:
    mask = jnp.array([-jnp.finfo(jnp.float32).max, 0.0])
    (found,) = program_of(lambda x: x + mask, np.zeros(2)).run([np.zeros(2)])
    np.testing.assert_array_equal(found, np.asarray(mask, np.float64))


def test_dead_equations_are_not_evaluated() -> None:
    def mostly_dead(x: Any) -> Any:
        jnp.exp(x)
        both = jax.jit(lambda x, y: (jnp.sin(x), jnp.cos(y)))(x, jnp.tanh(x))
        carried = lax.scan(
            lambda c, _: ((c[0] * 2, jnp.log(c[1])), jnp.sqrt(c[0])), (x, x), None, length=2
        )
        return both[0], carried[0][0]

    stacked = "mul"  # the two iterations together
    assert evaluated(mostly_dead, X) == ["sin", "mul", "mul", stacked]


def test_a_carry_that_feeds_a_live_one_is_live() -> None:
    agrees(
        lambda x: lax.scan(
            lambda c, _: ((c[0] + c[1], c[1] * c[2], c[2] + 1), None), (x, x, x), None, length=3
        )[0][0],
        X,
    )


def test_debugging_effects_are_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    def talkative(x: Any) -> Any:
        jax.debug.print("seen {}", x)
        jax.debug.callback(lambda x: print("called", x), x)
        return x + 1

    (found,) = program_of(talkative, X).run([X])
    np.testing.assert_array_equal(found, X.astype(np.float64) + 1)
    assert capsys.readouterr().out == ""


def test_outputs_that_are_inputs_literals_or_repeated() -> None:
    agrees(lambda x: (x, 2.0, x + 1, x, jnp.arange(3)), X)


# Hooks.

linen_init = Primitive("linen_init")
linen_init.def_abstract_eval(lambda x: x)


def test_special_feeds_a_primitive_anywhere() -> None:
    def nested(x: Any) -> Any:
        inside = jax.jit(lambda x: linen_init.bind(x) + 1)(x)
        looped = lax.scan(lambda c, _: (c + linen_init.bind(c), None), x, None, length=2)[0]
        return inside, looped, lax.cond(x[0, 0] > 0, linen_init.bind, jnp.sin, x)

    seen = []

    def feed(eqn: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        seen.append(eqn.primitive.name)
        return [inputs[0] * 10]

    x = X.astype(np.float64)
    found = program_of(nested, X).run([X], special={"linen_init": feed})
    for ours, expected in zip(found, [x * 10 + 1, x * 121, x * 10], strict=True):
        np.testing.assert_allclose(ours, expected)
    assert seen == ["linen_init"] * 4


def test_special_may_replace_a_rule_for_one_run() -> None:
    program = program_of(lambda x: jax.jit(jnp.sin)(x) + 1, X)
    (found,) = program.run([X], special={"sin": lambda eqn, inputs: [inputs[0] * 0]})
    np.testing.assert_array_equal(found, np.ones(X.shape))
    np.testing.assert_allclose(program.run([X])[0], np.sin(X.astype(np.float64)) + 1)


def test_record_sees_each_leaf_in_each_iteration() -> None:
    def nested(x: Any) -> Any:
        x = jax.jit(jax.checkpoint(clipped))(x)
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, x))[1]

    names = evaluated(nested, X)
    assert names.count("sin") == 3
    assert names.count("lt") == 4
    assert names.count("max") == 1
    assert not {"jit", "remat2", "custom_jvp_call", "while"} & set(names)


def test_record_sees_held_values() -> None:
    seen: dict[str, list[np.ndarray]] = {}
    program_of(lambda x: lax.top_k(x + 1, 2)[0], X).run(
        [X], record=lambda eqn, outputs: seen.update({eqn.primitive.name: outputs})
    )
    np.testing.assert_array_equal(seen["add"][0], X.astype(np.float64) + 1)
    assert [output.dtype for output in seen["top_k"]] == [np.float64, np.int32]


# Fallbacks, refusals, safety.

SQUARE = np.float32([[4, 1, 0], [1, 3, 1], [0, 1, 2]])


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (jnp.linalg.cholesky, "cholesky"),
        (lambda x: jnp.linalg.solve(x, x[0]), "lu custom_linear_solve"),
        (jnp.fft.fft, "fft"),
        (lambda x: jnp.asarray(x).at[0].apply(jnp.sin), "scatter"),
        (lambda x: jax.random.gamma(jax.random.key(0), x[0]), "random_gamma"),
        (lambda x: jax.pure_callback(lambda x: np.asarray(x) * 2, x, x), "pure_callback"),
        (
            lambda x: jax.random.normal(jax.random.split(jax.random.key(1, impl="rbg"))[1], (3,)),
            "random_seed random_split random_bits",
        ),
    ],
)
def test_fallbacks_agree_and_are_named(function: Callable[..., Any], names: str) -> None:
    agrees(function, SQUARE, fallbacks=names)


@pytest.mark.parametrize(
    "function",
    [
        lambda: jnp.arange(2**40 // 2**8),
        lambda: jnp.ones((2**16, 2**16)),
        lambda: lax.pad(jnp.ones((4, 4)), 0.0, [(2**20, 0, 0), (0, 2**20, 0)]),
        jax.jit(lambda: jnp.ones((2**16, 2**16)).sum()),
    ],
)
def test_arrays_beyond_all_bounds_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(MemoryError, match=r"would create an array of shape \("):
        program_of(function).run([])


def test_wrong_inputs_are_refused() -> None:
    program = program_of(lambda x: x + 1, X)
    with pytest.raises(ValueError, match="expected 1 inputs, got 2"):
        program.run([X, X])
    with pytest.raises(ValueError, match=r"expected shape \(3, 4\), got \(4,\)"):
        program.run([X[0]])


def test_mutable_references_are_refused() -> None:
    def mutating(x: Any) -> Any:
        reference = jax.new_ref(x)
        reference[...] = x + 1
        return reference[...]

    with pytest.raises(NotImplementedError, match="mutable references"):
        program_of(mutating, X)


def test_no_warnings_escape() -> None:
    def reckless(x: Any, n: Any) -> Any:
        zero = x[0, 0] * 0
        return x / zero, jnp.log(-x), jnp.exp(x * 1e6), n * n, n // 0, (x / zero).astype(int)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program_of(reckless, X, np.int32(2**31 - 1)).run([X, np.int32(2**31 - 1)])


def test_runs_are_independent_and_leave_inputs_alone() -> None:
    def update(x: Any, y: Any) -> Any:
        x = jnp.asarray(x)
        return x.at[0].set(y[0]), lax.dynamic_update_slice(x, y, (1, 0)), x.at[1].add(1), x

    program = program_of(update, X, X[:2])
    x, y = X.astype(np.float64), X[:2].astype(np.float64)
    first = [output.copy() for output in program.run([x, y])]
    program.run([x + 1, y + 1])
    np.testing.assert_array_equal(x, X)
    for before, after in zip(first, program.run([x, y]), strict=True):
        np.testing.assert_array_equal(before, after)
