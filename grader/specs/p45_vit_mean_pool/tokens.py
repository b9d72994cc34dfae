"""How the positions come in, and how that goes wrong."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.blocks import LOOP, NORM
from grader.specs.p45_vit_mean_pool.quotes import ADD, TABLE

PITFALLS = (
    Pitfall(
        id="positions-missing",
        title="no position embedding is added",
        advice=(
            "Attention does not see in which order the tokens stand, and a mean does not "
            "either. Without positions any shuffling of the patches gives the same logits."
        ),
        edits=(Edit(f"{TABLE}\n        ", ""), Edit(ADD, 'checkpoint_name(x, "positions")')),
        check="parameters",
        stage="positions",
        hints=(
            "Would your model notice if the patches were shuffled?",
            "A learned table is added to the tokens before the first block.",
        ),
    ),
    Pitfall(
        id="positions-fixed",
        title="the position table is a constant, not a parameter",
        advice=(
            "Drawing random numbers does not make them learnable. As the table is no "
            "parameter of the module, no optimiser will ever change it."
        ),
        edits=(
            Edit(
                TABLE,
                "positions = nn.initializers.normal(0.02)(jax.random.key(0), x.shape)",
            ),
        ),
        check="parameters",
        stage="positions",
        hints=(
            "Is the position table among the parameters that init returns?",
            "An array is learned only if the module declares it as a parameter.",
        ),
    ),
    Pitfall(
        id="positions-one-row",
        title="there is a single position vector for all patches",
        advice=(
            "A table with one row is broadcast to all tokens without an error. They all get "
            "the same vector then, and that says nothing about their places."
        ),
        edits=(Edit(TABLE, TABLE.replace("x.shape", "(1, self.d_model)")),),
        check="parameters",
        stage="positions",
        hints=(
            "How many different positions does your table know?",
            "Compare the shape of the table with that of the tokens.",
        ),
    ),
    Pitfall(
        id="positions-long",
        title="the position table has N + 1 rows, one too many",
        advice=(
            "N + 1 is the length of a sequence with a CLS token. This model has none: its "
            "sequence consists of the patches alone."
        ),
        edits=(Edit(TABLE, TABLE.replace("x.shape", "(x.shape[0] + 1, self.d_model)")),),
        check="runs",
        stage="positions",
        hints=(
            "How long is the sequence when the positions are added?",
            "Which token should the additional position belong to?",
        ),
    ),
    Pitfall(
        id="cls-token",
        title="a CLS token stands in the sequence",
        advice=(
            "That is the model of problem 46. Here the image is summed up by a mean over the "
            "patches, and no other token takes part."
        ),
        edits=(
            Edit(
                TABLE,
                'cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))\n'
                f"        x = jax.numpy.concatenate([cls, x])\n        {TABLE}",
            ),
        ),
        check="parameters",
        stage="positions",
        hints=(
            "How many rows does your sequence have, and how many patches are there?",
            "What is the first row of your sequence for, if all of them are averaged?",
        ),
    ),
    Pitfall(
        id="positions-every-block",
        title="positions are added again before every block",
        advice=(
            "The skip connections carry the positions through all the blocks, so they are "
            "added once. Added again, they pile up with every layer."
        ),
        edits=(
            Edit(f"\n        x = {ADD}", ""),
            Edit(LOOP, f"{LOOP}\n            x = {ADD}"),
        ),
        stage="attention_added",
        hints=(
            "How often are positions added in a model with twelve blocks?",
            "Which of your lines belong inside the loop over the blocks?",
        ),
    ),
    Pitfall(
        id="positions-after-blocks",
        title="positions are added after the blocks",
        advice=(
            "It is the attention that has to know where a patch stands. Behind the blocks "
            "the positions come too late to change what the tokens tell each other."
        ),
        edits=(
            Edit(f"\n        x = {ADD}", ""),
            Edit(f"x = {NORM}", f"x = {ADD}\n        x = {NORM}"),
        ),
        stage="positions",
        hints=(
            "Which part of the model needs to know the order of the patches?",
            "Look at the place of the sum with the positions in your chain of steps.",
        ),
    ),
)
