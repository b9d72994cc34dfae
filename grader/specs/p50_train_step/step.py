"""``train_step``: how it is called, on a small model of its own, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Property, Run, Sizes
from grader.specs.claims import same, untouched
from grader.specs.p50_train_step.trees import leaf, unflattened

SMOOTHED = "optax.smooth_labels(one_hot, label_smoothing)"
LOSSES = "optax.softmax_cross_entropy(logits, targets)"
MEAN = "return losses.mean(), logits"
ACCURACY = 'jnp.mean(logits.argmax(axis=-1) == batch["label"])'
RESULT = 'return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}'

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
        "image": ArraySpec(images),
        "label": ArraySpec(images[:2], below=sizes["classes"]),
        "hidden/kernel": ArraySpec((sizes["pixels"], sizes["hidden"]), scale=0.25),
        "hidden/bias": ArraySpec((sizes["hidden"],)),
        "output/kernel": ArraySpec((sizes["hidden"], sizes["classes"]), sizes["output_scale"]),
        "output/bias": ArraySpec((sizes["classes"],)),
    }


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
        raise TypeError("train_step returns a pair, (new_state, metrics)")
    state, metrics = result
    if not isinstance(state, TrainState):
        raise TypeError("train_step returns (new_state, metrics); the first one is no TrainState")
    if not isinstance(metrics, Mapping) or not {"loss", "accuracy"} <= set(metrics):
        raise TypeError('the metrics of train_step are a dict with "loss" and "accuracy"')
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

    def step(state: Any, batch: Any) -> tuple[Any, Any, Any]:
        nonlocal traces
        traces += 1
        return _state_and_metrics(function(state, batch, sizes["label_smoothing"]), state)

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
    before = jax.tree.leaves((start, batches[0]))
    _, default_loss, _ = _state_and_metrics(function(start, batches[0]), start)
    untouched("train_step", (start, batches[0]), before)
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


CONTRACT = Contract(
    function="train_step",
    arguments=("state", "batch", "label_smoothing"),
    outputs=tuple(sorted(STEP_OUTPUTS)),
    arrays=_batches_and_weights,
    call=_call_step,
    creates_parameters=False,
    properties=(Property("the order within the batch changes nothing", _order_free),),
    weight=2.0,
)

PITFALLS = (
    Pitfall(
        id="no-smoothing",
        title="the labels are not smoothed",
        advice=(
            "label_smoothing has no effect: the loss is the plain cross-entropy, whatever "
            "its value."
        ),
        edits=(Edit(SMOOTHED, "one_hot"),),
        stage="targets",
        hints=(
            "Call the step with two values of label_smoothing and compare the losses.",
            "What do the rows of your targets look like?",
        ),
    ),
    Pitfall(
        id="smoothing-fixed",
        title="label_smoothing is always 0.1",
        advice=(
            "0.1 is only what is used if the caller says nothing. The argument has to arrive "
            "where the targets are made."
        ),
        edits=(Edit(SMOOTHED, SMOOTHED.replace("label_smoothing", "0.1")),),
        stage="targets",
        hints=(
            "Call the step with two values of label_smoothing and compare the losses.",
            "Follow the argument: where in the step is it used?",
        ),
    ),
    Pitfall(
        id="smoothing-default",
        title="without the argument, label_smoothing is 0 and not 0.1",
        advice=(
            "The contract gives label_smoothing a default of 0.1. Called without it, yours "
            "does not smooth at all."
        ),
        edits=(Edit("label_smoothing: float = 0.1", "label_smoothing: float = 0.0"),),
        stage="targets",
        hints=(
            "With label_smoothing given you are right. What if it is left out?",
            "Compare your signature with that of the contract.",
        ),
    ),
    Pitfall(
        id="smoothing-others-only",
        title="the smoothing is spread over the K - 1 wrong classes only",
        advice=(
            "Both definitions are in use. Here every one of the K classes gets its share, "
            "the right one too, so that it ends up slightly above 1 - s."
        ),
        edits=(
            Edit(
                SMOOTHED,
                "jnp.where(\n            one_hot > 0, 1 - label_smoothing, "
                "label_smoothing / (logits.shape[-1] - 1)\n        )",
            ),
        ),
        stage="targets",
        hints=(
            "With s = 0.1 and K = 4, what is your target for the right class?",
            "Among how many classes is s divided?",
        ),
    ),
    Pitfall(
        id="double-softmax",
        title="a softmax is applied before the cross-entropy",
        advice=(
            "The cross-entropy applies the softmax itself. Twice, it can never get close to "
            "0, and the gradients become small."
        ),
        edits=(Edit(LOSSES, LOSSES.replace("(logits", "(jax.nn.softmax(logits)")),),
        stage="losses",
        hints=(
            "What does the loss function expect: logits or probabilities?",
            "Take one thing away between the model and the loss.",
        ),
    ),
    Pitfall(
        id="loss-summed",
        title="the loss is summed over the batch",
        advice=(
            "A sum grows with the batch, and the gradient with it. With the mean, a batch in "
            "which every image is there twice gives the same step."
        ),
        edits=(Edit(MEAN, MEAN.replace("mean", "sum")),),
        stage="logits",
        hints=(
            "By which factor is your loss too large?",
            "Should the loss of a batch double if every image is in it twice?",
        ),
    ),
    Pitfall(
        id="accuracy-count",
        title="the accuracy is a count, not a share",
        advice=(
            "A count can only be read by someone who knows the size of the batch. The "
            "accuracy is a float between 0 and 1."
        ),
        edits=(Edit(ACCURACY, ACCURACY.replace("mean", "sum")),),
        check="shape",
        hints=(
            "Can your accuracy be larger than 1?",
            "Divide by something, or let a function do it.",
        ),
    ),
    Pitfall(
        id="argmax-over-batch",
        title="the argmax goes over the batch, not over the classes",
        advice=(
            "For every image you want its best class. Over the other axis you get the best "
            "image of every class, K numbers instead of B."
        ),
        edits=(Edit(ACCURACY, ACCURACY.replace("axis=-1", "axis=0")),),
        check="runs",
        hints=(
            "Which shape do your predictions have?",
            "The predictions are compared with B labels.",
        ),
    ),
    Pitfall(
        id="metrics-after",
        title="loss and accuracy are computed after the step",
        advice=(
            "Both belong to the parameters for which the gradient was taken. Computing them "
            "again costs a second run of the model too."
        ),
        edits=(
            Edit(
                RESULT,
                "state = state.apply_gradients(grads=gradients)\n"
                "    loss, logits = loss_of(state.params)\n"
                f"    accuracy = {ACCURACY}\n"
                '    return state, {"loss": loss, "accuracy": accuracy}',
            ),
        ),
        hints=(
            "Your parameters are right. To which of them do your metrics belong?",
            "How often does your step run the model?",
        ),
    ),
    Pitfall(
        id="old-state",
        title="the old state is returned",
        advice=(
            "A TrainState is frozen: applying gradients leaves it as it is and returns a new "
            "one. If that is dropped, nothing is ever learned."
        ),
        edits=(Edit(RESULT, RESULT.replace("state.apply_gradients(grads=gradients)", "state")),),
        stage="logits",
        hints=(
            "Compare the parameters before and after the step.",
            "What becomes of the value that apply_gradients returns?",
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
                RESULT.replace("gradients)", "gradients).replace(opt_state=state.opt_state)"),
            ),
        ),
        stage="logits",
        hints=(
            "Your first step is right and the second is not. What should be carried over?",
            "Which fields of a TrainState change in a step? There are three.",
        ),
    ),
    Pitfall(
        id="swapped",
        title="the two results are returned in the wrong order",
        advice="The contract asks for the new state first, then for the metrics.",
        edits=(
            Edit(
                RESULT,
                'return {"loss": loss, "accuracy": accuracy}, '
                "state.apply_gradients(grads=gradients)",
            ),
        ),
        check="runs",
        hints=("Compare the return line with the contract.",),
    ),
)
