"""Problem 50: schedule, mask, optimiser and training step, on models that this spec brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Problem, Property, Run, Sizes, Stage
from grader.specs.claims import same
from grader.specs.shapes import tells_apart

WARMUP = "optax.linear_schedule(0.0, base_lr, warmup_steps)"
DECAY = "optax.cosine_decay_schedule(base_lr, total_steps - warmup_steps)"
JOINED = "optax.join_schedules([warmup, decay], [warmup_steps])"
IS_KERNEL = 'path[-1].key == "kernel"'
MASK = f"jax.tree_util.tree_map_with_path(lambda path, _: {IS_KERNEL}, params)"
CLIP = "optax.clip_by_global_norm(max_norm)"
ADAMW = "optax.adamw(schedule, weight_decay=weight_decay, mask=weight_decay_mask)"
CHAIN = "optax.chain(clip, adamw)"
SMOOTHED = "optax.smooth_labels(one_hot, label_smoothing)"
LOSSES = "optax.softmax_cross_entropy(logits, targets)"
MEAN = "return losses.mean(), logits"
ACCURACY = 'jnp.mean(logits.argmax(axis=-1) == batch["label"])'
RESULT = 'return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}'

STEPS = 3
# A huge, a tiny and two ordinary gradients: clipping may only touch those above max_norm.
GRADIENT_SIZES = (8.0, 0.03125, 1.0, 8.0)
BEYOND_THE_END = 4
WEIGHTS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
# The last two get a gradient of zero, so that only weight decay can move them.
OPTIMISED = ("block/kernel", "block/bias", "norm/scale", "cls", "head/kernel", "positions")
WITHOUT_GRADIENT = ("head/kernel", "positions")


def _derive(fields: Mapping[str, Any]) -> Sizes:
    pixels = fields["height"] * fields["width"] * fields["channels"]
    total = fields["warmup_steps"] + fields["decay_steps"]
    return {**fields, "pixels": pixels, "total_steps": total}


def _tells(sizes: Sizes) -> bool:
    lengths = (sizes["batch"], sizes["hidden"], sizes["classes"], sizes["pixels"], STEPS)
    apart = sizes["height"] != sizes["width"] and sizes["warmup_steps"] != sizes["decay_steps"]
    return apart and tells_apart(*lengths)


def _symbols(sizes: Sizes) -> dict[str, int]:
    return {"B": sizes["batch"], "K": sizes["classes"]}


def _unflattened(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a/b": x}`` as the nested dict ``{"a": {"b": x}}``."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *modules, name = path.split("/")
        inner = tree
        for module in modules:
            inner = inner.setdefault(module, {})
        inner[name] = leaf
    return tree


def _leaf(tree: Any, path: str) -> Any:
    for name in path.split("/"):
        tree = tree[name]
    return tree


def _call_schedule(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> Any:
    """The learning rate at every step from 0 on, and at some past the end."""
    import jax
    import jax.numpy as jnp

    schedule = function(sizes["base_lr"], sizes["warmup_steps"], sizes["total_steps"])
    if not callable(schedule):
        raise TypeError("learning_rate_schedule returns a function of the step")
    return jax.vmap(schedule)(jnp.arange(sizes["total_steps"] + BEYOND_THE_END))


def _model_leaves(sizes: Sizes) -> dict[str, ArraySpec]:
    """Every kind of parameter that a ViT has, and two names that only look like kernels."""
    d, k = sizes["hidden"], sizes["classes"]
    shapes: dict[str, tuple[int, ...]] = {
        "cls": (1, d),
        "positions": (6, d),
        "registers": (2, d),
        "patch_embed/projection/kernel": (2, 2, sizes["channels"], d),
        "patch_embed/projection/bias": (d,),
        "block_0/norm_1/scale": (d,),
        "block_0/norm_1/bias": (d,),
        "block_0/attention/query/kernel": (d, 2, 3),
        "block_0/attention/query/bias": (2, 3),
        "kernel_size_embed/embedding": (5, d),
        "kernel/bias": (d,),
        "block_0/relative_kernel": (d, d),
        "block_0/Kernel": (d,),
        "head/kernel": (d, k),
        "head/kernel_scale": (k,),
        "head/bias": (k,),
    }
    return {path: ArraySpec(shape) for path, shape in shapes.items()}


def _call_mask(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The mask, leaf by leaf: 1 for True, 0 for False."""
    import jax
    import jax.numpy as jnp

    params = _unflattened(arrays)
    mask = function(params)
    tree: Any = jax.tree.structure(params)
    if jax.tree.structure(mask) != tree:
        raise TypeError("weight_decay_mask returns a tree of the same structure as params")
    return {path: jnp.asarray(int(_leaf(mask, path)), jnp.int32) for path in arrays}


def _optimised_leaves(sizes: Sizes) -> dict[str, ArraySpec]:
    d, k = sizes["hidden"], sizes["classes"]
    shapes: dict[str, tuple[int, ...]] = {
        "block/kernel": (d, d + 1),
        "block/bias": (d + 1,),
        "norm/scale": (d,),
        "cls": (1, d),
        "head/kernel": (d, k),
        "positions": (6, d),
    }
    leaves = {path: ArraySpec(shapes[path]) for path in OPTIMISED}
    gradients = {
        f"gradient of {path}": ArraySpec((len(GRADIENT_SIZES), *shapes[path]))
        for path in OPTIMISED
        if path not in WITHOUT_GRADIENT
    }
    return {**leaves, **gradients}


def _call_optimizer(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters after each of four updates (under ``jit``: traced once, so it is quick)."""
    import jax
    import jax.numpy as jnp
    import optax

    names = ("base_lr", "warmup_steps", "total_steps", "weight_decay", "max_norm")
    optimizer = function(*(sizes[name] for name in names))
    if not hasattr(optimizer, "init") or not hasattr(optimizer, "update"):
        raise TypeError("make_optimizer returns an optax transformation: init and update")
    params = _unflattened({path: arrays[path] for path in OPTIMISED})
    memory, history = optimizer.init(params), []
    update = jax.jit(optimizer.update)
    for i, size in enumerate(GRADIENT_SIZES):
        gradients = {
            path: jnp.zeros_like(arrays[path])
            if path in WITHOUT_GRADIENT
            else size * arrays[f"gradient of {path}"][i]
            for path in OPTIMISED
        }
        updates, memory = update(_unflattened(gradients), memory, params)
        params = optax.apply_updates(params, updates)
        history.append(params)
    return {
        f"{path} after each update": jnp.stack([_leaf(tree, path) for tree in history])
        for path in OPTIMISED
    }


def _batches_and_weights(sizes: Sizes) -> dict[str, ArraySpec]:
    images = (STEPS, sizes["batch"], sizes["height"], sizes["width"], sizes["channels"])
    return {
        "image": ArraySpec(images),
        "label": ArraySpec(images[:2], below=sizes["classes"]),
        "hidden/kernel": ArraySpec((sizes["pixels"], sizes["hidden"]), scale=0.25),
        "hidden/bias": ArraySpec((sizes["hidden"],)),
        "output/kernel": ArraySpec((sizes["hidden"], sizes["classes"])),
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


def _call_step(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """Three steps under ``jax.jit``, with an optimiser that has a memory and is smooth."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax.training.train_state import TrainState

    traces = 0

    def step(state: Any, batch: Any) -> tuple[Any, Any, Any]:
        nonlocal traces
        traces += 1
        return _state_and_metrics(function(state, batch, sizes["label_smoothing"]), state)

    optimiser = optax.chain(optax.add_decayed_weights(0.125), optax.sgd(0.5, momentum=0.5))
    params = _unflattened({path: arrays[path] for path in WEIGHTS})
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
    _, default_loss, _ = _state_and_metrics(function(start, batches[0]), start)
    return {
        "accuracy before each step": jnp.stack(accuracies),
        "loss before each step": jnp.stack(losses),
        "loss with the default label_smoothing": default_loss,
        "step counter after each step": jnp.stack([state.step for state in states]),
        "times the step is traced for three calls": jnp.asarray(traces),
        **{
            f"{path} after each step": jnp.stack([_leaf(state.params, path) for state in states])
            for path in WEIGHTS
        },
    }


STEP_OUTPUTS = (
    "accuracy before each step",
    "loss before each step",
    "loss with the default label_smoothing",
    "step counter after each step",
    "times the step is traced for three calls",
    *(f"{path} after each step" for path in WEIGHTS),
)


def _order_free(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    turned = {name: arrays[name][:, ::-1] for name in ("image", "label")}
    pairs = zip(run(arrays), run({**arrays, **turned}), strict=True)
    return all(same(one, other) for one, other in pairs)


PROBLEM = Problem(
    number=50,
    slug="train_step",
    title="Optimiser and training step",
    teaches="warm-up and cosine, selective weight decay, clipping, label smoothing, TrainState",
    contracts=(
        Contract(
            function="learning_rate_schedule",
            arguments=("base_lr", "warmup_steps", "total_steps"),
            outputs=("learning rate at steps 0, 1, 2, …",),
            arrays=lambda sizes: {},
            call=_call_schedule,
            creates_parameters=False,
        ),
        Contract(
            function="weight_decay_mask",
            arguments=("params",),
            outputs=tuple(
                sorted(_model_leaves({"hidden": 1, "classes": 1, "channels": 1})),
            ),
            arrays=_model_leaves,
            call=_call_mask,
            creates_parameters=False,
        ),
        Contract(
            function="make_optimizer",
            arguments=("base_lr", "warmup_steps", "total_steps", "weight_decay", "max_norm"),
            outputs=tuple(sorted(f"{path} after each update" for path in OPTIMISED)),
            arrays=_optimised_leaves,
            call=_call_optimizer,
            creates_parameters=False,
        ),
        Contract(
            function="train_step",
            arguments=("state", "batch", "label_smoothing"),
            outputs=tuple(sorted(STEP_OUTPUTS)),
            arrays=_batches_and_weights,
            call=_call_step,
            creates_parameters=False,
            properties=(Property("the order within the batch changes nothing", _order_free),),
            weight=2.0,
        ),
    ),
    fields={
        "base_lr": (1.0, 0.5, 0.25),
        "warmup_steps": range(2, 6),
        "decay_steps": range(3, 10),
        "weight_decay": (0.5, 0.25, 0.125),
        "max_norm": (1.0, 0.5, 2.0),
        "label_smoothing": (0.25, 0.5, 0.0),
        "batch": range(4, 10),
        "height": range(1, 4),
        "width": range(1, 4),
        "channels": range(1, 4),
        "hidden": range(4, 9),
        "classes": range(4, 9),
    },
    derive=_derive,
    tells=_tells,
    corners=(
        {
            "base_lr": 1.0,
            "warmup_steps": 1,
            "decay_steps": 1,
            "weight_decay": 0.0,
            "max_norm": 1.0,
            "label_smoothing": 0.25,
            "batch": 1,
            "height": 2,
            "width": 2,
            "channels": 1,
            "hidden": 5,
            "classes": 2,
        },
        {
            "base_lr": 0.5,
            "warmup_steps": 20,
            "decay_steps": 100,
            "weight_decay": 0.5,
            "max_norm": 0.125,
            "label_smoothing": 0.0,
            "batch": 2,
            "height": 1,
            "width": 1,
            "channels": 3,
            "hidden": 4,
            "classes": 12,
        },
    ),
    symbols=_symbols,
    stages=(
        Stage("logits", "logits, step {i}"),
        Stage("targets", "smoothed targets"),
        Stage("losses", "cross-entropy of each image"),
    ),
    pitfalls=(
        Pitfall(
            id="warmup-not-included",
            title="the cosine lasts total_steps, the warm-up comes on top",
            advice=(
                "total_steps is the length of the whole run. Here the learning rate has not come "
                "down to 0 when training ends."
            ),
            edits=(Edit(DECAY, "optax.cosine_decay_schedule(base_lr, total_steps)"),),
            hints=(
                "What is your learning rate at step total_steps?",
                "How many steps remain for the cosine once the warm-up is over?",
            ),
        ),
        Pitfall(
            id="cosine-from-zero",
            title="the cosine begins at step 0 and is only covered by the warm-up",
            advice=(
                "When the warm-up hands over, the cosine has to be at its top. Counted from step "
                "0, part of it is gone by then and the learning rate jumps down."
            ),
            edits=(
                Edit(
                    JOINED,
                    "lambda step: jnp.where(step < warmup_steps, warmup(step), "
                    "optax.cosine_decay_schedule(base_lr, total_steps)(step))",
                ),
            ),
            hints=(
                "Is there a jump in your schedule? Look around the end of the warm-up.",
                "At which step does your cosine start?",
            ),
        ),
        Pitfall(
            id="no-warmup",
            title="there is no warm-up",
            advice=(
                "The schedule begins at base_lr right away. Adam's first steps are its least "
                "reliable ones, and they should be its smallest."
            ),
            edits=(Edit(WARMUP, "optax.constant_schedule(base_lr)"),),
            hints=(
                "What is your learning rate at step 0?",
                "The first part of the schedule is a straight line, but not a flat one.",
            ),
        ),
        Pitfall(
            id="warmup-one-early",
            title="the warm-up runs one step ahead",
            advice=(
                "The learning rate is exactly 0 at step 0 and reaches base_lr at step "
                "warmup_steps. Yours is there one step earlier."
            ),
            edits=(Edit(WARMUP, "lambda step: base_lr * (step + 1) / warmup_steps"),),
            hints=(
                "What is your learning rate at step 0?",
                "Steps are counted from 0, and the first update may well be zero.",
            ),
        ),
        Pitfall(
            id="linear-decay",
            title="the learning rate falls in a straight line",
            advice=(
                "After the warm-up comes half a cosine: flat at first, steep in the middle, flat "
                "again at the end. It meets the straight line only at both ends and half-way."
            ),
            edits=(Edit(DECAY, "optax.linear_schedule(base_lr, 0.0, total_steps - warmup_steps)"),),
            hints=(
                "Which shape does your schedule have after the warm-up?",
                "Compare your values with the table of the walk-through, at step 6.",
            ),
        ),
        Pitfall(
            id="rises-again",
            title="the learning rate rises again after the end",
            advice=(
                "A cosine does not stop at its lowest point. A run that goes on for a few steps "
                "would see a growing learning rate instead of 0."
            ),
            edits=(
                Edit(
                    DECAY,
                    "lambda step: base_lr / 2 * (\n"
                    "        1 + jnp.cos(jnp.pi * step / (total_steps - warmup_steps))\n"
                    "    )",
                ),
            ),
            hints=(
                "Evaluate your schedule past total_steps.",
                "How far along the cosine may a step get at most?",
            ),
        ),
        Pitfall(
            id="floor",
            title="the learning rate ends at a tenth of base_lr, not at 0",
            advice=(
                "Many recipes keep a small learning rate to the end. This schedule goes all the "
                "way down to 0."
            ),
            edits=(Edit(DECAY, DECAY.replace("steps)", "steps, alpha=0.1)")),),
            hints=(
                "What is your learning rate at step total_steps?",
                "The lowest value of the cosine is not what you want it to be.",
            ),
        ),
        Pitfall(
            id="mask-by-axes",
            title="everything with two or more axes is decayed",
            advice=(
                "A common rule of thumb, and not the rule of this problem: position tables, CLS "
                "tokens, registers and the biases of the attention heads are matrices too."
            ),
            edits=(Edit(MASK, "jax.tree.map(lambda leaf: leaf.ndim > 1, params)"),),
            hints=(
                "What does your mask say about the position table?",
                "Does the task speak of shapes or of names?",
            ),
        ),
        Pitfall(
            id="mask-all-but-bias",
            title="everything but the biases is decayed",
            advice=(
                "The scales of the LayerNorms and all learned tokens are then pulled to 0 too. "
                "Only what is named kernel should be."
            ),
            edits=(Edit(IS_KERNEL, 'path[-1].key != "bias"'),),
            hints=(
                "What does your mask say about the scale of a LayerNorm?",
                "It is easier to say what is decayed than what is not.",
            ),
        ),
        Pitfall(
            id="mask-inverted",
            title="the mask is inverted",
            advice=(
                "True means that a leaf is decayed. Yours protects the kernels and pulls all the "
                "rest towards 0."
            ),
            edits=(Edit(IS_KERNEL, IS_KERNEL.replace("==", "!=")),),
            hints=(
                "What does True mean in the mask that optax.adamw takes?",
                "What does your mask say about a bias?",
            ),
        ),
        Pitfall(
            id="mask-substring",
            title="the word kernel is searched for anywhere in the path",
            advice=(
                "The name of a module may contain the word, and so may the name of another "
                "parameter. What counts is the leaf's own name, and all of it."
            ),
            edits=(Edit(IS_KERNEL, '"kernel" in jax.tree_util.keystr(path)'),),
            hints=(
                "What does your mask say about a parameter named kernel_scale?",
                "Which part of a path is the name of the leaf?",
            ),
        ),
        Pitfall(
            id="mask-flat",
            title="the mask is a flat dict, not a tree like params",
            advice=(
                "optax lays the mask over the parameters, so both need the same structure, "
                "module by module. A dict whose keys are whole paths does not fit."
            ),
            edits=(
                Edit(
                    MASK,
                    "{\n        jax.tree_util.keystr(path): "
                    f"{IS_KERNEL}\n"
                    "        for path, _ in jax.tree_util.tree_leaves_with_path(params)\n    }",
                ),
            ),
            check="runs",
            hints=(
                "Compare jax.tree.structure of the mask and of params.",
                "There are ways to map over a tree that keep its structure and know the paths.",
            ),
        ),
        Pitfall(
            id="clip-last",
            title="clipping comes after AdamW",
            advice=(
                "Clipping is there to keep a huge gradient away from Adam's averages. Applied to "
                "Adam's updates it comes too late, and it limits the step instead."
            ),
            edits=(Edit(CHAIN, "optax.chain(adamw, clip)"),),
            hints=(
                "In which order do gradients pass through a chain?",
                "Which of the two should see the raw gradient?",
            ),
        ),
        Pitfall(
            id="clip-missing",
            title="the gradient is not clipped",
            advice=(
                "max_norm has no effect: a single huge gradient goes into Adam's averages as it "
                "is, and they need many steps to forget it."
            ),
            edits=(Edit(CHAIN, "adamw"),),
            hints=(
                "Which of your lines use max_norm?",
                "Multiply one gradient in a row of gradients by 1000. What should happen?",
            ),
        ),
        Pitfall(
            id="clip-by-value",
            title="each number is clipped on its own, not the norm",
            advice=(
                "Clipped number by number, a gradient changes its direction. Clipping by the "
                "norm makes it shorter and nothing else."
            ),
            edits=(Edit(CLIP, "optax.clip(max_norm)"),),
            hints=(
                "What becomes of the gradient (3, 0), (4) of the walk-through?",
                "optax has several functions for clipping.",
            ),
        ),
        Pitfall(
            id="constant-rate",
            title="the optimiser uses base_lr and not the schedule",
            advice=(
                "optax takes a number or a function for the learning rate. With the number there "
                "is neither warm-up nor decay."
            ),
            edits=(Edit(ADAMW, ADAMW.replace("(schedule", "(base_lr")),),
            hints=(
                "Does your first update move the parameters? It should not.",
                "What do you hand to AdamW as its learning rate?",
            ),
        ),
        Pitfall(
            id="decay-in-gradient",
            title="weight decay is added to the gradient and goes through Adam",
            advice=(
                "That is L2 regularisation with Adam, which divides the decay by the size of the "
                "gradients. AdamW keeps the two apart; hence its W."
            ),
            edits=(
                Edit(
                    ADAMW,
                    "optax.chain(\n"
                    "        optax.add_decayed_weights(weight_decay, weight_decay_mask),\n"
                    "        optax.adam(schedule),\n    )",
                ),
            ),
            hints=(
                "How far does a kernel move whose gradient is 0?",
                "Should Adam's averages know about the decay?",
            ),
        ),
        Pitfall(
            id="mask-not-used",
            title="the optimiser does not use the mask",
            advice=(
                "Without a mask AdamW decays every parameter, biases, LayerNorms and positions "
                "included."
            ),
            edits=(Edit(ADAMW, ADAMW.replace(", mask=weight_decay_mask", "")),),
            hints=(
                "How far does a position table move whose gradient is 0?",
                "Who in your code calls weight_decay_mask?",
            ),
        ),
        Pitfall(
            id="decay-not-passed",
            title="weight_decay is not handed on to AdamW",
            advice=("AdamW then decays with its own default, 1e-4, which is next to nothing."),
            edits=(Edit(ADAMW, ADAMW.replace("weight_decay=weight_decay, ", "")),),
            hints=(
                "Call make_optimizer with two values of weight_decay and compare.",
                "Which of your lines use weight_decay?",
            ),
        ),
        Pitfall(
            id="adam",
            title="Adam is used, without any weight decay",
            advice=(
                "Adam and AdamW differ in one thing, the decay. A kernel whose gradient is 0 "
                "should still shrink a little in every step."
            ),
            edits=(Edit(ADAMW, "optax.adam(schedule)"),),
            hints=(
                "How far does a kernel move whose gradient is 0?",
                "One letter is missing.",
            ),
        ),
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
            edits=(
                Edit(RESULT, RESULT.replace("state.apply_gradients(grads=gradients)", "state")),
            ),
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
    ),
    hints=(
        (
            "Four small problems: begin with the one you like. For schedule, mask and clipping the "
            "walk-through has numbers to compare with."
        ),
        (
            "optax has a part for each: two schedules that are joined, clipping, AdamW, smoothing, "
            "cross-entropy. Read what each of their arguments counts: steps from where to where?"
        ),
        (
            "Schedule: line and cosine, joined at the end of the warm-up. Mask: look at the last "
            "entry of each path. Optimiser: clip, then AdamW. Step: a function from parameters to "
            "loss and logits, its value and gradient in one call, and the state's own way to "
            "apply it."
        ),
    ),
)
