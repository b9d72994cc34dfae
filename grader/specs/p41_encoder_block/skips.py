"""What goes wrong with the skips and the order of the branches."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p41_encoder_block.quotes import (
    ADD_1,
    ADD_2,
    ATTEND,
    GELU,
    LINE,
    MLP_IN,
    MLP_OUT,
    NORM_1,
    NORM_2,
)

PITFALLS = (
    Pitfall(
        id="no-skip-attention",
        title="the skip connection around the attention is missing",
        advice=(
            "The attention only adds to the tokens. Without the sum a token is replaced by "
            "an average over the sequence and forgets what it was."
        ),
        edits=(Edit(ADD_1, ADD_1.replace("x + y", "y")),),
        stage="attention_added",
        hints=(
            "If the attention answered 0, what should come out of the first half?",
            "Each of the two branches ends in a sum.",
        ),
    ),
    Pitfall(
        id="no-skip-mlp",
        title="the skip connection around the MLP is missing",
        advice=(
            "The MLP only adds to the tokens. Without the sum the direct line from the input "
            "to the output is cut, and deep stacks stop training."
        ),
        edits=(Edit(ADD_2, ADD_2.replace("x + y", "y")),),
        stage="mlp_added",
        hints=(
            "If the MLP answered 0, what should come out of the block?",
            "Each of the two branches ends in a sum.",
        ),
    ),
    Pitfall(
        id="skip-normalised-attention",
        title="the skip around the attention starts behind the LayerNorm",
        advice=(
            "The sum wants the tokens as they came in. If the variable was overwritten by "
            "the LayerNorm, the normalised tokens are added instead."
        ),
        edits=(Edit(NORM_1, f"x = {NORM_1}"),),
        stage="attention_added",
        hints=(
            "Which value do you add to the answer of the attention?",
            "After the LayerNorm you still need what was there before it.",
        ),
    ),
    Pitfall(
        id="skip-normalised-mlp",
        title="the skip around the MLP starts behind the LayerNorm",
        advice=(
            "The sum wants the tokens as they came out of the first half. If the variable was "
            "overwritten by the LayerNorm, the normalised tokens are added instead."
        ),
        edits=(Edit(NORM_2, f"x = {NORM_2}"),),
        stage="mlp_added",
        hints=(
            "Which value do you add to the answer of the MLP?",
            "After the LayerNorm you still need what was there before it.",
        ),
    ),
    Pitfall(
        id="skip-from-input",
        title="the second skip starts at the input of the block",
        advice=(
            "The second sum continues from the first one. Starting again from the input "
            "drops everything that the attention has added."
        ),
        edits=(
            Edit(ADD_1, ADD_1.replace("x = ", "attended = ")),
            Edit(NORM_2, NORM_2.replace("(x)", "(attended)")),
        ),
        stage="mlp_added",
        hints=(
            "If the MLP answered 0, would the output still contain the attention's part?",
            "Which tokens does the second sum start from?",
        ),
    ),
    Pitfall(
        id="parallel",
        title="attention and MLP run side by side on the same input",
        advice=(
            "Some large language models do that to save time. Here the MLP comes second: it "
            "reads the tokens to which the attention has already been added."
        ),
        edits=(
            Edit(ADD_1, ADD_1.replace("x = ", "attended = ")),
            Edit(ADD_2, ADD_2.replace("x + y", "attended + y")),
        ),
        stage="mlp_added",
        hints=(
            "Which tokens does your second LayerNorm see?",
            "The second formula uses the x that the first one has produced.",
        ),
    ),
    Pitfall(
        id="mlp-first",
        title="the MLP comes before the attention",
        advice=(
            "The block attends first and then works on each token by itself. Exchanged, the "
            "first layer works on tokens that know nothing of each other yet."
        ),
        edits=(
            Edit(
                LINE.join((ATTEND, ADD_1, NORM_2, MLP_IN, GELU, MLP_OUT)),
                LINE.join((MLP_IN, GELU, MLP_OUT, ADD_1, NORM_2, ATTEND)),
            ),
        ),
        stage="attention_added",
        hints=(
            "Read the two formulas from top to bottom once more.",
            "Which of the two branches comes first?",
        ),
    ),
)
