"""Random numbers, which must agree to the bit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.engine.rules.cases import Drawn, applied, case, integers, shapes

KEY_RULES = "random_wrap random_unwrap random_split random_fold_in random_bits"


@st.composite
def draws(draw: Any) -> Drawn:
    shape = draw(shapes(0, 2))
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64]))
    batch = draw(st.integers(1, 3))

    def sample(words: Any, data: Any) -> Any:
        key = jax.random.fold_in(jax.random.wrap_key_data(words), data)
        keys = jax.random.split(key, batch)
        folded = jax.vmap(jax.random.fold_in)(keys, jnp.arange(batch))
        return (
            jax.vmap(lambda key: jax.random.bits(key, shape, dtype))(folded),
            jax.random.key_data(jax.random.split(keys[-1], (2, 3))),
            jax.random.key_data(jnp.stack([keys[0], key])),
        )

    words = draw(arrays(np.uint32, 2))
    return sample, [words, np.uint32(draw(st.integers(0, 2**32 - 1)))]


case("random keys", draws(), KEY_RULES, tolerance=0, count=4)
case(
    "random_seed",
    applied(
        jax.vmap(lambda seed: jax.random.key_data(jax.random.clone(jax.random.key(seed)))),
        integers(np.int32) | integers(np.int64) | integers(np.uint32),
    ),
    "random_seed random_clone",
    tolerance=0,
)
case(
    "threefry2x32",
    applied(
        lambda key, x: jax.extend.random.threefry_2x32(key[:2], x),
        integers(np.uint32),
        integers(np.uint32),
    ),
    tolerance=0,
)
