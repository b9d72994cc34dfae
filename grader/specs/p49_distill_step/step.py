"""``distill_step``: how it is called, on small models of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Sizes, Variant
from grader.specs.claims import untouched

TARGETS = 'jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))'

STEPS = 3
WEIGHTS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
TWIN = "finiteness of the parameters after a step of a student that is the teacher"
STEP_OUTPUTS = tuple(
    sorted(
        [
            "loss before each step",
            "loss with the default norm",
            TWIN,
            "step counter after each step",
            "times the step is traced for three calls",
            *(f"student's {name} after each step" for name in WEIGHTS),
            *(f"teacher's gradient for {name}" for name in WEIGHTS),
        ]
    )
)


def _images_and_weights(sizes: Sizes) -> dict[str, ArraySpec]:
    width = max(2, sizes["embedding"])  # a row of one number is ± norm: all gradients are 0
    batch = (sizes["batch"], sizes["height"], sizes["width"], sizes["channels"])
    shapes = {
        "hidden/kernel": ArraySpec((sizes["pixels"], sizes["hidden"]), scale=0.25),
        "hidden/bias": ArraySpec((sizes["hidden"],)),
        "output/kernel": ArraySpec((sizes["hidden"], width), scale=4.0),
        "output/bias": ArraySpec((width,), scale=2.0),
    }
    weights = {f"{who} {name}": shapes[name] for who in ("student", "teacher") for name in WEIGHTS}
    images = ArraySpec((STEPS, *batch), scale=sizes.get("image_scale", 1.0))
    return {"images": images, **weights}


def _params(arrays: Mapping[str, Any], who: str) -> dict[str, dict[str, Any]]:
    return {
        layer: {kind: arrays[f"{who} {layer}/{kind}"] for kind in ("kernel", "bias")}
        for layer in ("hidden", "output")
    }


def _mlp(variables: Mapping[str, Any], images: Any, activation: Callable[[Any], Any]) -> Any:
    if images.ndim != 4:
        raise ValueError(f"the models map a batch (B, H, W, C); they were given {images.shape}")
    hidden, output = variables["params"]["hidden"], variables["params"]["output"]
    x = images.reshape(images.shape[0], -1)
    x = activation(x @ hidden["kernel"] + hidden["bias"])
    return x @ output["kernel"] + output["bias"]


def _student_apply(variables: Mapping[str, Any], images: Any) -> Any:
    import jax.numpy as jnp

    return _mlp(variables, images, jnp.tanh)


def _teacher_apply(variables: Mapping[str, Any], images: Any) -> Any:
    import jax.numpy as jnp

    return _mlp(variables, images, jnp.sin)


def _rate(count: Any) -> Any:
    return 0.25 / (1 + count)


def _state_and_loss(result: Any, before: Any) -> tuple[Any, Any]:
    """The two results of ``distill_step``, or an error that says what is wrong with them."""
    import jax
    from flax.training.train_state import TrainState

    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError("distill_step must return a pair, (new_state, loss)")
    state, loss = result
    if not isinstance(state, TrainState):
        raise TypeError(
            "distill_step must return (new_state, loss); the first one is no TrainState"
        )
    old_tree: Any = jax.tree.structure(before.params)
    if jax.tree.structure(state.params) != old_tree:
        raise TypeError("new_state.params is not a tree of the same parameters as state.params")
    return state, loss


def _call_step(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """Three steps under ``jax.jit``, and the gradient that the teacher must not get.

    And a step of a student that is the teacher: there all differences are 0, where the absolute
    value has a slope to choose but the root of the square has none.

    The optimiser has a memory (momentum), counts its steps (the learning rate falls) and looks at
    the parameters (decay), and unlike Adam it does not turn rounding noise into full steps.
    """
    import jax
    import jax.numpy as jnp
    import optax
    from flax.training.train_state import TrainState

    traces = 0

    def asked(state: Any, teacher: Any, images: Any, *norm: Any) -> tuple[Any, Any]:
        with untouched("distill_step", state=state, teacher_params=teacher):
            result = function(state, _teacher_apply, teacher, images, *norm)
        return _state_and_loss(result, state)

    def step(state: Any, teacher: Any, images: Any) -> tuple[Any, Any]:
        nonlocal traces
        traces += 1
        return asked(state, teacher, images, sizes["norm"])

    def loss_of_teacher(teacher: Any) -> Any:
        return jnp.sum(asked(start, teacher, arrays["images"][0])[1])  # if it should be no scalar

    optimiser = optax.chain(optax.add_decayed_weights(0.125), optax.sgd(_rate, momentum=0.5))
    teacher = _params(arrays, "teacher")
    start = TrainState.create(
        apply_fn=_student_apply, params=_params(arrays, "student"), tx=optimiser
    ).replace(step=jnp.zeros((), jnp.int32))

    compiled = jax.jit(step)
    state, states, losses = start, [], []
    for i in range(STEPS):
        state, loss = compiled(state, teacher, arrays["images"][i])
        states.append(state)
        losses.append(loss)
    default_loss, gradient = jax.value_and_grad(loss_of_teacher)(teacher)
    twin = start.replace(apply_fn=_teacher_apply, params=teacher)
    stepped, _ = asked(twin, teacher, arrays["images"][0], sizes["norm"])
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(stepped.params)]

    seen = {
        "loss before each step": jnp.stack(losses),
        "loss with the default norm": default_loss,
        "step counter after each step": jnp.stack([state.step for state in states]),
        "times the step is traced for three calls": jnp.asarray(traces),
        TWIN: jnp.stack(finite).all(),
    }
    for name in WEIGHTS:
        layer, kind = name.split("/")
        weights = [state.params[layer][kind] for state in states]
        seen[f"student's {name} after each step"] = jnp.stack(weights)
        seen[f"teacher's gradient for {name}"] = gradient[layer][kind]
    return seen


CONTRACT = Contract(
    function="distill_step",
    arguments=("state", "teacher_apply", "teacher_params", "images", "norm"),
    outputs=STEP_OUTPUTS,
    arrays=_images_and_weights,
    call=_call_step,
    creates_parameters=False,
    weight=2.0,
)

VARIANTS = (
    Variant(
        id="teacher-differentiable",
        remark=(
            "the loss could be differentiated with respect to the teacher's parameters; "
            "nothing here does, and marking the targets as constants makes sure of it"
        ),
        edits=(Edit(TARGETS, 'teacher_apply({"params": teacher_params}, images)'),),
    ),
)
