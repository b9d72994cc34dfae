"""TrivialAugment: what each change does, worked out by hand or by Pillow."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from solutions.training.trivial import CHANGES, changed, drawn, trivial_augment

PHOTO = np.random.default_rng(0).integers(20, 220, (5, 7, 3)).astype(np.uint8)
GREY = np.full((4, 4, 1), 100, np.uint8)


@functools.cache
def change() -> object:
    return jax.jit(changed)


def after(name: str, strength: float, image: np.ndarray = PHOTO) -> np.ndarray:
    return np.asarray(change()(image, CHANGES.index(name), np.float32(strength)))


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "autocontrast"])
def test_a_change_without_strength_changes_nothing(name: str) -> None:
    assert np.array_equal(after(name, 0.0), PHOTO)


def test_nothing_is_nothing() -> None:
    assert np.array_equal(after("nothing", 0.7), PHOTO)


def test_a_shift_along_one_axis_reflects_at_the_border() -> None:
    rows = np.arange(32, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 1), np.uint8)
    down = np.concatenate([np.arange(10, 32), np.arange(30, 20, -1)])
    assert np.array_equal(after("shift y", 1.0, rows)[:, 0, 0], down)
    columns = rows.transpose(1, 0, 2)
    assert np.array_equal(after("shift x", 1.0, columns)[0, :, 0], down)
    assert np.array_equal(after("shift x", -1.0, columns)[0, 10:, 0], np.arange(22))


@pytest.mark.parametrize("name", ["shear x", "shear y", "rotate"])
def test_what_turns_or_leans_keeps_the_middle_and_straightens_up_again(name: str) -> None:
    image = np.zeros((31, 31, 1), np.uint8)
    image[12:19, 12:19] = 200
    leaning = after(name, 0.8, image)
    assert leaning[15, 15, 0] == 200
    assert (leaning != image).sum() > 8
    straight = after(name, -0.8, leaning)
    assert np.abs(straight[13:18, 13:18].astype(int) - 200).max() < 30


def test_a_shear_moves_each_row_by_its_distance_from_the_middle() -> None:
    image = np.zeros((5, 21, 1), np.uint8)
    image[:, 10] = 100
    leaning = after("shear x", 1.0, image)[..., 0].astype(float)
    places = (leaning * np.arange(21)).sum(axis=1) / leaning.sum(axis=1)
    assert np.allclose(places, 10 - 0.3 * np.arange(-2, 3), atol=0.02)


def test_a_rotation_is_by_thirty_degrees_at_most() -> None:
    image = np.zeros((41, 41, 1), np.uint8)
    image[20, 21:36] = 100
    turned = after("rotate", 1.0, image)[..., 0].astype(float)
    rows, columns = np.mgrid[:41, :41] - 20
    angle = np.arctan2((turned * rows).sum(), (turned * columns).sum())
    assert np.isclose(abs(np.rad2deg(angle)), 30, atol=1)


@pytest.mark.parametrize("strength", [-0.8, 0.5])
def test_enhancements_are_pillows(strength: float) -> None:
    photo, factor = Image.fromarray(PHOTO), 1 + 0.9 * strength
    wanted = np.asarray(ImageEnhance.Brightness(photo).enhance(factor)).astype(int)
    assert np.abs(after("brightness", strength) - wanted).max() <= 1
    grey = Image.fromarray(np.repeat(PHOTO[..., :1], 3, axis=-1))  # whose grey is no question
    for name, enhance in (("contrast", ImageEnhance.Contrast), ("colour", ImageEnhance.Color)):
        wanted = np.asarray(enhance(grey).enhance(factor)).astype(int)
        assert np.abs(after(name, strength, np.asarray(grey)) - wanted).max() <= 2, name


def test_colour_goes_or_grows() -> None:
    spread = np.ptp(PHOTO.astype(int), axis=-1).mean()
    assert np.ptp(after("colour", -1.0).astype(int), axis=-1).mean() < 0.15 * spread
    assert np.ptp(after("colour", 0.5).astype(int), axis=-1).mean() > 1.2 * spread


@pytest.mark.parametrize("sign", [-1, 1])
def test_bits_are_dropped_and_bright_pixels_turned_over(sign: int) -> None:
    assert np.array_equal(after("posterise", sign * 0.5), PHOTO // 4 * 4)
    assert np.array_equal(after("posterise", sign * 1.0), PHOTO // 16 * 16)
    turned = np.where(PHOTO >= 128, 255 - PHOTO, PHOTO)
    assert np.array_equal(after("solarise", sign * 0.5), turned)


def test_autocontrast_is_pillows_and_leaves_a_blank_image_alone() -> None:
    wanted = np.asarray(ImageOps.autocontrast(Image.fromarray(PHOTO))).astype(int)
    assert np.abs(after("autocontrast", 0.3) - wanted).max() <= 1
    assert np.array_equal(after("autocontrast", 0.3, GREY), GREY)


def test_every_change_is_drawn_about_equally_often_and_in_all_strengths() -> None:
    which, strength = (np.asarray(values) for values in drawn(2400, jax.random.key(0)))
    counts = np.bincount(which, minlength=len(CHANGES))
    assert len(counts) == len(CHANGES)
    assert 150 < counts.min() <= counts.max() < 250
    assert -1 <= strength.min() < -0.99
    assert 0.99 < strength.max() <= 1


def test_each_image_of_a_batch_gets_its_own_change() -> None:
    images = np.repeat(PHOTO[None], 50, axis=0)
    found = np.asarray(jax.jit(trivial_augment)(images, jax.random.key(1)))
    for image, which, strength in zip(found, *drawn(50, jax.random.key(1)), strict=True):
        assert np.array_equal(image, after(CHANGES[which], strength))
