"""What is done to images while they are trained on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc

from solutions.training import augment


def test_normalized_images_have_mean_0_and_deviation_1() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 2)).astype(np.uint8)
    mean, std = images.mean((0, 1, 2)).tolist(), images.std((0, 1, 2)).tolist()
    found = augment.normalize(images, mean, std)
    assert np.allclose(found.mean((0, 1, 2)), 0, atol=1e-4)
    assert np.allclose(found.std((0, 1, 2)), 1, atol=1e-4)


def test_shift_and_flip_move_images_as_a_whole() -> None:
    image = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)
    many = np.repeat(image, 200, axis=0)
    found = np.asarray(augment.shift_and_flip(many, jax.random.key(0), 1, True))
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = {
        padded[y : y + 6, x : x + 6][:, ::d].tobytes()
        for y in range(3)
        for x in range(3)
        for d in (1, -1)
    }
    assert {one.tobytes() for one in found} == expected


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_mixed_images_hold_the_share_that_is_said(mixup: float, cutmix: float) -> None:
    images = jnp.arange(8.0)[:, None, None, None] * jnp.ones((8, 16, 16, 1))
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    for seed in range(6):
        found, partner, share = mix(images, jax.random.key(seed), mixup, cutmix)
        expected = share * jnp.arange(8.0) + (1 - share) * partner
        assert np.allclose(found.mean((1, 2, 3)), expected, atol=1e-4)
        assert 0 <= share <= 1


def test_cutmix_pastes_one_rectangle_of_the_partner_into_every_image() -> None:
    images = jnp.arange(8.0)[:, None, None, None] * jnp.ones((8, 12, 16, 1))
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    areas = []
    for seed in range(40):
        found, partner, share = mix(images, jax.random.key(seed), 0.0, 1.0)
        pasted = np.asarray(found == images[partner])[..., 0]
        assert (np.where(pasted[..., None], images[partner], images) == found).all()
        assert (pasted == pasted[0]).all()
        rows, columns = pasted[0].any(axis=1), pasted[0].any(axis=0)
        assert (np.outer(rows, columns) == pasted[0]).all()
        for side in (rows, columns):
            assert np.abs(np.diff(side.astype(int))).sum() <= 2  # without a gap
        assert pasted[0].mean() == pytest.approx(1 - float(share), abs=1e-6)
        areas.append(pasted[0].mean())
    # Half of the pixels on average, but for what the border cuts off.
    assert 0.2 < np.mean(areas) < 0.5 and np.std(areas) > 0.1


def test_where_both_are_on_either_comes() -> None:
    images = jnp.arange(8.0)[:, None, None, None] * jnp.ones((8, 12, 16, 1))
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    mixed = [np.asarray(mix(images, jax.random.key(seed), 0.8, 1.0)[0]) for seed in range(20)]
    blended = [bool((np.ptp(one, axis=(1, 2, 3)) < 1e-6).all()) for one in mixed]
    whole = [np.isin(one, np.arange(8.0)).all() for one in mixed]
    assert 4 <= sum(blended) <= 16
    assert all(one or other for one, other in zip(blended, whole, strict=True))


@pytest.mark.parametrize("alpha", [0.2, 0.8, 2.0])
def test_the_shares_of_mixup_are_drawn_from_beta(alpha: float) -> None:
    images = jnp.zeros((2, 1, 1, 1))
    shares = jax.vmap(lambda key: augment.mix(images, key, alpha, 0.0)[2])
    drawn = np.asarray(shares(jax.random.split(jax.random.key(0), 20_000)), np.float64)
    points = np.linspace(0.01, 0.99, 50)
    found = (drawn[:, None] <= points).mean(axis=0)
    assert np.abs(found - betainc(alpha, alpha, points)).max() < 0.015
