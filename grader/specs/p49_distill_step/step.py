"""``distill_step``: how it is called, on small models of its own, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Sizes, Variant
from grader.specs.claims import untouched

TARGETS = 'jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))'
EMBEDDINGS = 'checkpoint_name(state.apply_fn({"params": params}, images), "embeddings")'
LOSS_OF = "return normalized_l1(embeddings, targets, norm)"
RESULT = "return state.apply_gradients(grads=gradients), loss"

STEPS = 3
WEIGHTS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
STEP_OUTPUTS = tuple(
    sorted(
        [
            "loss before each step",
            "loss with the default norm",
            "step counter after each step",
            "times the step is traced for three calls",
            *(f"student's {name} after each step" for name in WEIGHTS),
            *(f"teacher's gradient for {name}" for name in WEIGHTS),
        ]
    )
)


def _images_and_weights(sizes: Sizes) -> dict[str, ArraySpec]:
    batch = (sizes["batch"], sizes["height"], sizes["width"], sizes["channels"])
    shapes = {
        "hidden/kernel": ArraySpec((sizes["pixels"], sizes["hidden"]), scale=0.25),
        "hidden/bias": ArraySpec((sizes["hidden"],)),
        "output/kernel": ArraySpec((sizes["hidden"], sizes["embedding"]), scale=4.0),
        "output/bias": ArraySpec((sizes["embedding"],), scale=2.0),
    }
    weights = {f"{who} {name}": shapes[name] for who in ("student", "teacher") for name in WEIGHTS}
    return {"images": ArraySpec((STEPS, *batch)), **weights}


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
        return asked(start, teacher, arrays["images"][0])[1]

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

    seen = {
        "loss before each step": jnp.stack(losses),
        "loss with the default norm": default_loss,
        "step counter after each step": jnp.stack([state.step for state in states]),
        "times the step is traced for three calls": jnp.asarray(traces),
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

PITFALLS = (
    Pitfall(
        id="norm-not-passed",
        title="distill_step does not hand norm on to the loss",
        advice=(
            "The step takes norm as an argument, but the loss inside it is always computed "
            "with its default."
        ),
        edits=(Edit(LOSS_OF, LOSS_OF.replace(", norm)", ")")),),
        stage="student_scaled",
        hints=(
            "Call the step with two values of norm and compare the losses.",
            "Follow the argument: where in the step is it used?",
        ),
    ),
    Pitfall(
        id="teacher-with-student-weights",
        title="the teacher is run with the student's parameters",
        advice=(
            "The teacher has parameters of its own, which come as an argument. With the "
            "student's the target moves along with every step."
        ),
        edits=(Edit(TARGETS, TARGETS.replace("teacher_params", "state.params")),),
        stage="targets",
        hints=(
            "Which of the arguments does your step never use?",
            "Look at what is handed to teacher_apply.",
        ),
    ),
    Pitfall(
        id="no-gradient",
        title="the student gets no gradient",
        advice=(
            "Inside the function that you differentiate, the student's embeddings do not depend on "
            "its argument: they come from other parameters, or stop_gradient cuts them off. To JAX "
            "they are constants, and the gradient is 0."
        ),
        edits=(Edit(EMBEDDINGS, EMBEDDINGS.replace('"params": params', '"params": state.params')),),
        stage="embeddings",
        hints=(
            "Print the norm of your gradients.",
            "On what does the result of the differentiated function depend?",
        ),
    ),
    Pitfall(
        id="loss-after",
        title="the loss is computed after the step",
        advice=(
            "The loss belongs to the parameters for which the gradient was taken, those "
            "before the step. Computing it again costs a second run of the student too."
        ),
        edits=(
            Edit(
                RESULT,
                "new_state = state.apply_gradients(grads=gradients)\n"
                "    return new_state, loss_of(new_state.params)",
            ),
        ),
        hints=(
            "Your parameters are right. To which of them does your loss belong?",
            "How often does your step run the student?",
        ),
    ),
    Pitfall(
        id="old-state",
        title="the old state is returned",
        advice=(
            "A TrainState is frozen: applying gradients leaves it as it is and returns a new "
            "one. If that is dropped, nothing is ever learned."
        ),
        edits=(Edit(RESULT, "state.apply_gradients(grads=gradients)\n    return state, loss"),),
        stage="embeddings",
        hints=(
            "Compare the parameters before and after the step.",
            "What becomes of the value that apply_gradients returns?",
        ),
    ),
    Pitfall(
        id="counter-stuck",
        title="the step counter does not advance",
        advice=(
            "Parameters and optimiser move on, but state.step stays where it was. Schedules, "
            "checkpoints and logs that rely on it stand still."
        ),
        edits=(
            Edit(
                RESULT,
                "return state.apply_gradients(grads=gradients).replace(step=state.step), loss",
            ),
        ),
        hints=(
            "Which fields of a TrainState change in a step? There are three.",
            "The state can do all of it by itself, in one call.",
        ),
    ),
    Pitfall(
        id="optimiser-forgets",
        title="the optimiser's memory is thrown away",
        advice=(
            "Momentum and Adam remember earlier gradients in opt_state. The first step is "
            "right; from the second one on the memory is missing."
        ),
        edits=(
            Edit(
                RESULT,
                "new_state = state.apply_gradients(grads=gradients)\n"
                "    return new_state.replace(opt_state=state.opt_state), loss",
            ),
        ),
        stage="embeddings",
        hints=(
            "Your first step is right and the second is not. What should be carried over?",
            "Which fields of a TrainState change in a step? There are three.",
        ),
    ),
    Pitfall(
        id="optimiser-bypassed",
        title="the parameters are moved along the gradient without the optimiser",
        advice=(
            "How far and where to go is the optimiser's business: state.tx knows about "
            "momentum, decay and learning rate. Your step ignores it."
        ),
        edits=(
            Edit(
                RESULT,
                "params = jax.tree.map(lambda p, g: p - 1e-3 * g, state.params, gradients)\n"
                "    return state.replace(params=params, step=state.step + 1), loss",
            ),
        ),
        stage="embeddings",
        hints=(
            "Where does the learning rate in your step come from?",
            "The state has a method that does the whole update.",
        ),
    ),
    Pitfall(
        id="swapped",
        title="the two results are returned in the wrong order",
        advice="The contract asks for the new state first, then for the loss.",
        edits=(Edit(RESULT, "return loss, state.apply_gradients(grads=gradients)"),),
        check="runs",
        hints=("Compare the return line with the contract.",),
    ),
    Pitfall(
        id="python-float",
        title="the loss is turned into a Python number",
        advice=(
            "Under jax.jit the step is traced, and a traced value has no number yet. Whoever "
            "calls the step can convert the result, outside of jit."
        ),
        edits=(Edit(RESULT, RESULT.replace(", loss", ", float(loss)")),),
        check="runs",
        hints=(
            "Does your step work under jax.jit?",
            "Which of your lines needs the value of a number, and not just the number?",
        ),
    ),
)
