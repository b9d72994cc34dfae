"""``make_optimizer``: how it is called, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Sizes
from grader.specs.p50_train_step.trees import leaf, unflattened

CLIP = "optax.clip_by_global_norm(max_norm)"
ADAMW = "optax.adamw(schedule, weight_decay=weight_decay, mask=weight_decay_mask)"
CHAIN = "optax.chain(clip, adamw)"

# A huge, a tiny, no gradient and two ordinary ones: clipping may only touch those above max_norm.
GRADIENT_SIZES = (8.0, 0.03125, 0.0, 1.0, 8.0)
OPTIMISED = ("block/kernel", "block/bias", "norm/scale", "cls")
# Here Adam's epsilon shows.
FAINT = {"norm/scale": 1e-6}
# These get a gradient of zero, so that only weight decay can move them: kernels of every number of
# axes and at every depth, and what is none.
WITHOUT_GRADIENT = (
    "head/kernel",
    "patch_embed/projection/kernel",
    "block_0/attention/query/kernel",
    "block_0/kernel/bias",
    "block_0/relative_kernel",
    "positions",
)
ALL = (*OPTIMISED, *WITHOUT_GRADIENT)


def _optimised_leaves(sizes: Sizes) -> dict[str, ArraySpec]:
    d, k = sizes["hidden"], sizes["classes"]
    shapes: dict[str, tuple[int, ...]] = {
        "block/kernel": (d, d + 1),
        "block/bias": (d + 1,),
        "norm/scale": (d,),
        "cls": (1, d),
        "head/kernel": (d, k),
        "patch_embed/projection/kernel": (2, 2, 1, d),
        "block_0/attention/query/kernel": (d,),
        "block_0/kernel/bias": (3,),
        "block_0/relative_kernel": (3, 2),
        "positions": (6, d),
    }
    leaves = {path: ArraySpec(shapes[path]) for path in ALL}
    gradients = {
        f"gradient of {path}": ArraySpec((len(GRADIENT_SIZES), *shapes[path])) for path in OPTIMISED
    }
    return {**leaves, **gradients}


def _call_optimizer(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters after each of five updates (under ``jit``: traced once, so it is quick)."""
    import jax
    import jax.numpy as jnp
    import optax

    names = ("base_lr", "warmup_steps", "total_steps", "weight_decay", "max_norm")
    optimizer = function(*(sizes[name] for name in names))
    if not hasattr(optimizer, "init") or not hasattr(optimizer, "update"):
        raise TypeError("make_optimizer returns an optax transformation: init and update")
    params = unflattened({path: arrays[path] for path in ALL})
    memory, history = optimizer.init(params), []
    update = jax.jit(optimizer.update)
    for i, size in enumerate(GRADIENT_SIZES):
        gradients = {
            path: jnp.zeros_like(arrays[path])
            if path in WITHOUT_GRADIENT
            else size * FAINT.get(path, 1.0) * arrays[f"gradient of {path}"][i]
            for path in ALL
        }
        updates, memory = update(unflattened(gradients), memory, params)
        params = optax.apply_updates(params, updates)
        history.append(params)
    return {
        f"{path} after each update": jnp.stack([leaf(tree, path) for tree in history])
        for path in ALL
    }


CONTRACT = Contract(
    function="make_optimizer",
    arguments=("base_lr", "warmup_steps", "total_steps", "weight_decay", "max_norm"),
    outputs=tuple(sorted(f"{path} after each update" for path in ALL)),
    arrays=_optimised_leaves,
    call=_call_optimizer,
    creates_parameters=False,
)

PITFALLS = (
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
        title="the optimiser decays every parameter, as it does without the mask",
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
        id="uphill",
        title="every update has the wrong sign",
        advice=(
            "What optax.adamw returns is subtracted already: it can be added as it is. Built from "
            "parts, the last one multiplies with minus the learning rate. Yours climbs."
        ),
        edits=(Edit(CHAIN, "optax.chain(clip, adamw, optax.scale(-1.0))"),),
        hints=(
            "In which direction does a parameter move whose gradient is positive?",
            "How often do you change the sign, and how often does optax?",
        ),
    ),
    Pitfall(
        id="adamw-masked",
        title="what the mask leaves out is not optimised at all",
        advice=(
            "optax.masked hands on what its mask leaves out: biases and tokens are moved by their "
            "clipped gradients as they are, uphill. The decay alone is to be masked; optax.adamw "
            "has an argument for that."
        ),
        edits=(
            Edit(
                ADAMW,
                "optax.masked(\n        optax.adamw(schedule, weight_decay=weight_decay), "
                "weight_decay_mask\n    )",
            ),
        ),
        hints=(
            "How far does a bias move in your first update? The learning rate is 0 then.",
            "What does optax.masked do with the leaves at which its mask is False?",
        ),
    ),
    Pitfall(
        id="decay-as-epsilon",
        title="weight_decay is handed to AdamW as its epsilon",
        advice=(
            "The fourth argument of optax.adamw is eps, the fifth eps_root, the decay comes later: "
            "give it by name. As it is, nothing decays as it should, and Adam's steps shrink."
        ),
        edits=(
            Edit(ADAMW, "optax.adamw(schedule, 0.9, 0.999, weight_decay, mask=weight_decay_mask)"),
        ),
        check="finite",
        hints=(
            "Call make_optimizer with two values of weight_decay. Which leaves move otherwise?",
            "In which order does optax.adamw take its arguments?",
        ),
    ),
)
