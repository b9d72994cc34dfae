"""One step: Mixup's loss and the average of the weights, worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from solutions.training import augment
from solutions.training.models import Model
from solutions.training.recipe import Recipe
from solutions.training.step import classification
from solutions.training.trivial import trivial_augment
from tests.training.conftest import TINY, shades

STATISTICS = ((100.0,), (50.0,))


def linear() -> Model:
    """Logits that are a matrix times the pixels."""

    def apply(params: Any, images: Any, key: Any = None) -> Any:
        return images.reshape(len(images), -1) @ params["head"]["kernel"]

    def init(key: Any) -> Any:
        return {"head": {"kernel": jax.random.normal(key, (64, 3)) / 8}}

    return Model(init, apply, lambda *_: None, lambda *_: None, 0, (1, 1))


def steps(recipe: Recipe, count: int) -> tuple[list[Any], list[Any], Any, Any]:
    """States, the first included, and metrics; the batch and the key of each step."""
    task = classification(recipe, linear(), STATISTICS, 10)
    images, labels = shades(6)
    batch = {"image": jnp.asarray(images), "label": jnp.asarray(labels)}
    states, metrics, key = [task.init(jax.random.key(0))], [], jax.random.key(1)
    step = jax.jit(task.step)
    for _ in range(count):
        state, told = step(states[-1], batch, key)
        states.append(state)
        metrics.append(told)
    return states, metrics, batch, key


def test_the_loss_of_mixed_images_counts_both_classes_by_their_shares() -> None:
    recipe = dataclasses.replace(TINY, mixup=0.5, label_smoothing=0.2)
    states, metrics, batch, key = steps(recipe, 1)
    mean, std = STATISTICS
    images = (np.asarray(batch["image"], np.float32) - mean[0]) / std[0]
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    mixed, partner, share = mix(images, jax.random.split(key, 3)[1], 0.5, 0.0)
    logits = np.asarray(mixed).reshape(6, 64) @ states[0]["params"]["head"]["kernel"]
    logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels, total = np.asarray(batch["label"]), 0.0
    for row in range(6):
        for label, part in ((labels[row], share), (labels[partner[row]], 1 - share)):
            target = np.full(3, 0.2 / 3)
            target[label] += 0.8
            total -= part * (target * logarithms[row]).sum() / 6
    assert np.isclose(metrics[0]["loss"], total, rtol=1e-4)
    expected = labels if share >= 0.5 else labels[np.asarray(partner)]
    assert np.isclose(metrics[0]["accuracy"], (logits.argmax(axis=1) == expected).mean())


def test_at_the_end_images_are_not_mixed_any_more() -> None:
    mixes = dataclasses.replace(TINY, mixup=0.5, cutmix=1.0, mixup_off=0.25)  # of 10 steps
    states, metrics, batch, key = steps(mixes, 9)
    plain = classification(TINY, linear(), STATISTICS, 10)
    for number, is_mixed in ((7, True), (8, False)):
        state, told = plain.step(states[number], batch, key)
        same_loss = np.isclose(metrics[number]["loss"], told["loss"], rtol=1e-5)
        pairs = zip(jax.tree.leaves(state), jax.tree.leaves(states[number + 1]), strict=True)
        same_state = all(np.allclose(one, other, atol=1e-6) for one, other in pairs)
        assert (same_loss, same_state) == ((False, False) if is_mixed else (True, True))


def test_trivial_augment_comes_before_the_model_sees_the_images() -> None:
    recipe = dataclasses.replace(TINY, trivial_augment=True)
    states, metrics, batch, key = steps(recipe, 1)
    mean, std = STATISTICS
    changed = jax.jit(trivial_augment)(batch["image"], jax.random.split(key, 4)[3])
    images = (np.asarray(changed, np.float32) - mean[0]) / std[0]
    logits = images.reshape(6, 64) @ states[0]["params"]["head"]["kernel"]
    targets = optax.smooth_labels(jax.nn.one_hot(batch["label"], 3), recipe.label_smoothing)
    expected = optax.softmax_cross_entropy(logits, targets).mean()
    assert np.isclose(metrics[0]["loss"], expected, rtol=1e-4)


def test_the_average_of_the_weights() -> None:
    states, _, _, _ = steps(dataclasses.replace(TINY, ema=0.15), 3)
    average = states[0]["params"]["head"]["kernel"]
    for step, decay in enumerate((1 / 10, 0.15, 0.15)):  # (1 + step) / (10 + step) at first
        after = states[step + 1]["params"]["head"]["kernel"]
        average = decay * average + (1 - decay) * after
        assert np.allclose(states[step + 1]["ema"]["head"]["kernel"], average, atol=1e-6)


def test_what_is_tested_is_the_average_where_there_is_one() -> None:
    averages, plain = dataclasses.replace(TINY, ema=0.9), TINY
    states, _, batch, _ = steps(averages, 3)
    state = states[-1]

    def losses(recipe: Recipe, state: Any) -> np.ndarray:
        task = classification(recipe, linear(), STATISTICS, 10)
        return np.asarray(task.evaluate(state, batch)["loss"])

    alone = {name: value for name, value in state.items() if name != "ema"}
    of_average = losses(plain, {**alone, "params": state["ema"]})
    assert np.array_equal(losses(averages, state), of_average)
    assert not np.allclose(of_average, losses(plain, alone), rtol=1e-3)
