"""A call that does not fit is told with what would fit; all else is left alone."""

from __future__ import annotations

import pytest

from grader.engine.submission import describe_error, load

TEXT = """
import flax.linen as nn
import jax
import jax.numpy as jnp

class Block(nn.Module):
    heads: int
    width: int = 4

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width)(x)

class Odd:
    def __repr__(self):
        raise RuntimeError

def scale(x, *, by=1.0, odd=Odd()):
    return inner(x) if by == 2 else x

def inner(x, y):
    return x

class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        block = Block(1)
        return block(x, 3)

def outer():
    return scale(1, by=2)
"""
CASES = {
    "Block(1, 2, 3)": "Block(heads, width=4)",
    "Block(heads=1, depth=2)": "Block(heads, width=4)",
    "Block(1)(jnp.ones(2), 3)": "",  # of what is called there only its text is known
    "jnp.dot(1)": "jnp.dot(a, b, *, precision=None, …)",
    "inner(1)": "inner(x, y)",
    "inner(*[1])": "inner(x, y)",
    "scale(1, 2)": "",  # a default that cannot be shown
    "len(1)": "",  # another kind of TypeError
    "1 + 'one'": "",
    "int([])": "",
}


def told(line: str) -> str:
    source = f"{TEXT}\ndef call():\n    return {line}\n"
    module = load(source, "submission.py")
    with pytest.raises(Exception) as caught:
        module.call()
    return str(describe_error(caught.value, "submission.py", source)["signature"])


@pytest.mark.parametrize("line", CASES)
def test_a_call_that_does_not_fit_is_told_with_its_parameters(line: str) -> None:
    start, _, more = CASES[line].partition("…")  # versions of JAX add parameters
    found = told(line)
    assert found.startswith(start) if more else found == start


def test_it_is_the_call_inside_that_did_not_fit() -> None:
    assert told("outer()") == "inner(x, y)"
    assert told("Model().init(jax.random.key(0), jnp.ones(2))") == "block(x)"
