"""``learning_rate_schedule``: how it is called, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import Contract, Edit, Pitfall, Sizes

WARMUP = "optax.linear_schedule(0.0, base_lr, warmup_steps)"
DECAY = "optax.cosine_decay_schedule(base_lr, total_steps - warmup_steps)"
JOINED = "optax.join_schedules([warmup, decay], [warmup_steps])"
BEYOND_THE_END = 4
FAR_BEYOND = 100_000


def _call_schedule(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> Any:
    """The learning rate at every step from 0 on, at some past the end, and at one far beyond."""
    import jax
    import jax.numpy as jnp

    schedule = function(sizes["base_lr"], sizes["warmup_steps"], sizes["total_steps"])
    if not callable(schedule):
        raise TypeError("learning_rate_schedule returns a function of the step")
    steps = jnp.arange(sizes["total_steps"] + BEYOND_THE_END)
    rates = jax.vmap(schedule)(jnp.append(steps, FAR_BEYOND))
    return rates[:-1], rates[-1]


CONTRACT = Contract(
    function="learning_rate_schedule",
    arguments=("base_lr", "warmup_steps", "total_steps"),
    outputs=("learning rate at steps 0, 1, 2, …", f"learning rate at step {FAR_BEYOND}"),
    arrays=lambda sizes: {},
    call=_call_schedule,
    creates_parameters=False,
)

PITFALLS = (
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
        id="warmup-one-longer",
        title="the warm-up is divided by one step more than it has",
        advice=(
            "Step 0 has the learning rate 0, and step warmup_steps has base_lr. Divided by "
            "warmup_steps + 1, the line stops short, and the learning rate jumps at its end."
        ),
        edits=(Edit(WARMUP, "lambda step: base_lr * step / (warmup_steps + 1)"),),
        hints=(
            "By how much does your learning rate grow in the first step?",
            "The line goes through two points: which two?",
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
        id="quarter-cosine",
        title="a quarter of a cosine in place of half of one",
        advice=(
            "cos(t · π / 2) falls from 1 to 0, but ever faster. Half a cosine, (1 + cos(t · π)) / "
            "2, starts and ends flat."
        ),
        edits=(
            Edit(
                DECAY,
                "lambda step: base_lr * jnp.cos(\n"
                "        jnp.pi / 2 * jnp.clip(step / (total_steps - warmup_steps), 0, 1)\n    )",
            ),
        ),
        hints=(
            "How large is your rate in the middle of the decay? Half of base_lr is meant.",
            "How flat is your schedule where it ends?",
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
)
