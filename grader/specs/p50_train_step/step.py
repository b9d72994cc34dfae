"""``train_step``: how it is called, on a small model of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Property, Run, Sizes
from grader.specs.claims import same, untouched
from grader.specs.p50_train_step.trees import leaf, unflattened

STEPS = 3
WEIGHTS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
STEP_OUTPUTS = (
    "accuracy before each step",
    "loss before each step",
    "loss with the default label_smoothing",
    "step counter after each step",
    "times the step is traced for three calls",
    *(f"{path} after each step" for path in WEIGHTS),
)


def _batches_and_weights(sizes: Sizes) -> dict[str, ArraySpec]:
    images = (STEPS, sizes["batch"], sizes["height"], sizes["width"], sizes["channels"])
    return {
        "image": ArraySpec(images, scale=sizes.get("image_scale", 1.0)),
        "label": ArraySpec(images[:2], below=sizes["classes"]),
        "hidden/kernel": ArraySpec((sizes["pixels"], sizes["hidden"]), scale=0.25),
        "hidden/bias": ArraySpec((sizes["hidden"],)),
        "output/kernel": ArraySpec((sizes["hidden"], sizes["classes"]), sizes["output_scale"]),
        "output/bias": ArraySpec((sizes["classes"],)),
    }


_MOST_BATCHES = 4


def _apply(variables: Mapping[str, Any], images: Any) -> Any:
    """A small classifier: (B, H, W, C) to logits (B, K)."""
    import jax.numpy as jnp

    if images.ndim != 4:
        raise ValueError(f"the model maps a batch (B, H, W, C); it was given {images.shape}")
    hidden, output = variables["params"]["hidden"], variables["params"]["output"]
    x = images.reshape(images.shape[0], -1)
    x = jnp.tanh(x @ hidden["kernel"] + hidden["bias"])
    return x @ output["kernel"] + output["bias"]


def _state_and_metrics(result: Any, before: Any) -> tuple[Any, Any, Any]:
    """State, loss and accuracy, or an error that says what is wrong with the result."""
    import jax
    from flax.training.train_state import TrainState

    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError("train_step must return a pair, (new_state, metrics)")
    state, metrics = result
    if not isinstance(state, TrainState):
        raise TypeError(
            "train_step must return (new_state, metrics); the first one is no TrainState"
        )
    if not isinstance(metrics, Mapping) or not {"loss", "accuracy"} <= set(metrics):
        raise TypeError('the metrics of train_step must be a dict with "loss" and "accuracy"')
    tree: Any = jax.tree.structure(before.params)
    if jax.tree.structure(state.params) != tree:
        raise TypeError("new_state.params is not a tree of the same parameters as state.params")
    return state, metrics["loss"], metrics["accuracy"]


def _rate(count: Any) -> Any:
    return 1.0 / (1 + count)


def _call_step(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """Three steps under ``jax.jit``, with an optimiser that has a memory, counts and is smooth."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax.training.train_state import TrainState

    traces = 0

    def asked(state: Any, batch: Any, *smoothing: Any) -> tuple[Any, Any, Any]:
        with untouched("train_step", state=state, batch=batch):
            result = function(state, batch, *smoothing)
        return _state_and_metrics(result, state)

    def step(state: Any, batch: Any) -> tuple[Any, Any, Any]:
        nonlocal traces
        traces += 1
        return asked(state, batch, sizes["label_smoothing"])

    optimiser = optax.chain(optax.add_decayed_weights(0.125), optax.sgd(_rate, momentum=0.5))
    params = unflattened({path: arrays[path] for path in WEIGHTS})
    start = TrainState.create(apply_fn=_apply, params=params, tx=optimiser)
    start = start.replace(step=jnp.zeros((), jnp.int32))
    batches = [{name: arrays[name][i] for name in ("image", "label")} for i in range(STEPS)]

    compiled = jax.jit(step)
    state, states, losses, accuracies = start, [], [], []
    for batch in batches:
        state, loss, accuracy = compiled(state, batch)
        states.append(state)
        losses.append(loss)
        accuracies.append(accuracy)
    _, default_loss, _ = asked(start, batches[0])
    return {
        "accuracy before each step": jnp.stack(accuracies),
        "loss before each step": jnp.stack(losses),
        "loss with the default label_smoothing": default_loss,
        "step counter after each step": jnp.stack([state.step for state in states]),
        "times the step is traced for three calls": jnp.asarray(traces),
        **{
            f"{path} after each step": jnp.stack([leaf(state.params, path) for state in states])
            for path in WEIGHTS
        },
    }


def _order_free(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    turned = {name: arrays[name][:, ::-1] for name in ("image", "label")}
    pairs = zip(run(arrays), run({**arrays, **turned}), strict=True)
    return all(same(one, other) for one, other in pairs)


def _one_prediction(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    """With a head of zeros, as many start, every class has the same logit in every image."""
    import numpy as np

    batch, classes = sizes["batch"], sizes["classes"]
    batches = math.ceil(classes / batch)  # so many have every class among their labels
    labels = np.arange(batches * batch, dtype=np.int32).reshape(batches, batch) % classes
    head = {name: np.zeros_like(arrays[name]) for name in ("output/kernel", "output/bias")}
    hits = 0.0
    for of_one in labels if batches <= _MOST_BATCHES else ():
        accuracies, *_ = run({**arrays, **head, "label": np.tile(of_one, (STEPS, 1))})
        hits += accuracies[0] * batch
    return batches > _MOST_BATCHES or any(same(hits, n) for n in np.bincount(labels.ravel()))


CONTRACT = Contract(
    function="train_step",
    arguments=("state", "batch", "label_smoothing"),
    outputs=tuple(sorted(STEP_OUTPUTS)),
    arrays=_batches_and_weights,
    call=_call_step,
    creates_parameters=False,
    properties=(
        Property("the order within the batch changes nothing", _order_free),
        Property("of equal logits exactly one counts as the prediction", _one_prediction),
    ),
    weight=2.0,
)
