"""Problem 39: the CLS token and the position embedding."""

from __future__ import annotations

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Problem, Sizes, Stage
from grader.specs.shapes import token_symbols, tokens_tell

CLS = 'cls = self.param("cls", nn.initializers.normal(0.02), (1, tokens.shape[-1]))'
JOIN = 'checkpoint_name(jnp.concatenate([cls, tokens], axis=0), "cls")'
TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'checkpoint_name(x + positions, "positions")'


def _tokens(sizes: Sizes) -> ArraySpec:
    return ArraySpec((sizes["num_tokens"], sizes["d_model"]), scale=sizes.get("scale", 1.0))


PROBLEM = Problem(
    number=39,
    slug="cls_and_position",
    title="CLS token and position embedding",
    teaches="learned parameters beside the layers: a token for the whole, a vector for each place",
    contracts=(
        Contract(
            function="cls_and_position_forward",
            arguments=("seed", "tokens"),
            outputs=("tokens",),
            arrays=lambda sizes: {"tokens": _tokens(sizes)},
        ),
    ),
    fields={"num_tokens": range(2, 10), "d_model": range(4, 17)},
    derive=dict,
    tells=tokens_tell,
    corners=(
        {"num_tokens": 1, "d_model": 5},
        {"num_tokens": 70, "d_model": 71, "scale": 100.0},
        {"num_tokens": 7, "d_model": 7},
        {"num_tokens": 4, "d_model": 1},
    ),
    symbols=token_symbols,
    parameters={"cls": "CLS token", "positions": "position table"},
    stages=(Stage("cls", "+CLS"), Stage("positions", "+positions")),
    pitfalls=(
        Pitfall(
            id="cls-flat",
            title="the CLS token has shape (D,) and cannot join the sequence",
            advice=(
                "The tokens are a matrix with one row each; a vector of D numbers has no row "
                "axis, so it cannot be joined to them as it is."
            ),
            edits=(Edit(CLS, CLS.replace("(1, tokens.shape[-1])", "(tokens.shape[-1],)")),),
            check="runs",
            stage="cls",
            hints=(
                "Concatenation wants the same number of axes on both sides.",
                "How many axes does one row of an (N, D) array need in order to stay a row?",
            ),
        ),
        Pitfall(
            id="cls-features",
            title="the CLS token is concatenated along the features",
            advice=(
                "The CLS token is one more token, not one more feature. The sequence grows from "
                "N to N + 1 rows and its width stays D."
            ),
            edits=(Edit(JOIN, JOIN.replace("axis=0", "axis=1")),),
            check="runs",
            stage="cls",
            hints=(
                "Write the shape of the sequence before and after the CLS token down.",
                "Which axis counts the tokens? That is the one along which to join.",
            ),
        ),
        Pitfall(
            id="cls-last",
            title="the CLS token is appended at the end",
            advice=(
                "The CLS token comes before all others. At the end of the sequence its place "
                "would depend on the number of patches."
            ),
            edits=(Edit(JOIN, JOIN.replace("[cls, tokens]", "[tokens, cls]")),),
            stage="cls",
            hints=(
                "Which token does row 0 of your result hold?",
                "The order in which arrays are concatenated is their order in the sequence.",
            ),
        ),
        Pitfall(
            id="cls-every-row",
            title="the CLS token is added to every token instead of joining them",
            advice=(
                "Added to all rows, the CLS token is only a bias. It has to be a row of its own, "
                "so that it can collect something and be read."
            ),
            edits=(Edit(JOIN, 'checkpoint_name(cls + tokens, "cls")'),),
            check="parameters",
            stage="cls",
            hints=(
                "How many rows should the result have?",
                "The CLS token stands beside the others, not on top of them.",
            ),
        ),
        Pitfall(
            id="cls-overwrites",
            title="the CLS token replaces the first token",
            advice=(
                "The sequence gets longer by one row. Writing the CLS token over an existing row "
                "loses the patch at the top left of the image."
            ),
            edits=(Edit(JOIN, 'checkpoint_name(tokens.at[0].set(cls[0]), "cls")'),),
            check="parameters",
            stage="cls",
            hints=(
                "Are all of the tokens that went in still there?",
                "How many rows should the result have?",
            ),
        ),
        Pitfall(
            id="cls-fixed",
            title="the CLS token is a constant, not a parameter",
            advice=(
                "The CLS token is learned. A row of zeros that is made on the spot gets no "
                "gradient and never changes."
            ),
            edits=(Edit(CLS, "cls = jnp.zeros((1, tokens.shape[-1]))"),),
            check="parameters",
            stage="cls",
            hints=(
                "Count your parameters: one row is missing.",
                "What makes an array in a Linen module one that the optimiser can change?",
            ),
        ),
        Pitfall(
            id="positions-short",
            title="the position table has N rows, one too few",
            advice=(
                "When the positions are added the sequence has one row more than there were "
                "tokens, and that row has a position too."
            ),
            edits=(Edit(TABLE, TABLE.replace("x.shape", "tokens.shape")),),
            check="runs",
            stage="positions",
            hints=(
                "How long is the sequence when the positions are added?",
                "The CLS token has a position of its own.",
            ),
        ),
        Pitfall(
            id="positions-before-cls",
            title="positions are added before the CLS token joins",
            advice=(
                "Added that early, the table has a row for each token and none for CLS. First "
                "the sequence is completed, then all of it gets positions."
            ),
            edits=(
                Edit(
                    f"x = {JOIN}\n        {TABLE}\n        return {ADD}",
                    f"{TABLE.replace('x.shape', 'tokens.shape')}\n"
                    "        x = jnp.concatenate([cls, tokens + positions], axis=0)\n"
                    '        return checkpoint_name(x, "positions")',
                ),
            ),
            check="parameters",
            stage="cls",
            hints=(
                "Two steps are in the wrong order. Which one changes the number of rows?",
                "How many rows should the position table have?",
            ),
        ),
        Pitfall(
            id="positions-not-for-cls",
            title="the CLS token gets no position",
            advice=(
                "The table has N + 1 rows and all of them are added. Here the first one is never "
                "used, so it would not learn anything."
            ),
            edits=(Edit(ADD, 'checkpoint_name(x.at[1:].add(positions[1:]), "positions")'),),
            stage="positions",
            hints=(
                "Which rows of your position table have an effect?",
                "Positions are added to the whole sequence, CLS included.",
            ),
        ),
        Pitfall(
            id="positions-one-row",
            title="there is a single position vector for all rows",
            advice=(
                "A table with one row is broadcast to the whole sequence without an error. Every "
                "token gets the same vector then, and that says nothing about its place."
            ),
            edits=(Edit(TABLE, TABLE.replace("x.shape", "(1, x.shape[-1])")),),
            check="parameters",
            stage="positions",
            hints=(
                "How many different positions does your table know?",
                "Compare the shape of the table with that of the sequence.",
            ),
        ),
        Pitfall(
            id="positions-one-number",
            title="each position is a single number, not a vector",
            advice=(
                "One number for each row is broadcast over the features without an error. The "
                "first LayerNorm takes the mean of each row off, and the position is gone."
            ),
            edits=(Edit(TABLE, TABLE.replace("x.shape", "(x.shape[0], 1)")),),
            check="parameters",
            stage="positions",
            hints=(
                "How many numbers describe one place in your table?",
                "A position is as wide as a token.",
            ),
        ),
        Pitfall(
            id="positions-missing",
            title="no position embedding is added",
            advice=(
                "Attention does not see in which order the tokens stand. Without positions an "
                "image and a shuffled image are the same to it."
            ),
            edits=(Edit(f"{TABLE}\n        ", ""), Edit(ADD, 'checkpoint_name(x, "positions")')),
            check="parameters",
            stage="positions",
            hints=(
                "How many parameters does your module have, and what are they for?",
                "After the CLS token there is one more step.",
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
            id="positions-frozen",
            title="the position table is a parameter but gets no gradient",
            advice=(
                "The values are right, and they will never change: something between the table "
                "and the result stops the gradient. Positions are to be learned."
            ),
            edits=(Edit(ADD, ADD.replace("positions,", "jax.lax.stop_gradient(positions),")),),
            check="gradients",
            hints=(
                "Differentiate the sum of your result with respect to each parameter.",
                "Nothing in this problem should be shielded from the gradient.",
            ),
        ),
        Pitfall(
            id="positions-multiplied",
            title="the tokens are multiplied by the positions",
            advice=(
                "Positions start close to 0. As factors they would wipe the tokens out; added "
                "they shift each token a little."
            ),
            edits=(Edit(ADD, ADD.replace("x + positions", "x * positions")),),
            stage="positions",
            hints=(
                "What would the result be if all positions were 0?",
                "By which operation do tokens and positions meet?",
            ),
        ),
        Pitfall(
            id="tokens-scaled",
            title="the sequence is multiplied by the square root of D before positions are added",
            advice=(
                "The original Transformer does that to its word embeddings. The ViT adds the "
                "positions to the sequence as it is."
            ),
            edits=(Edit(ADD, ADD.replace("x + ", "x * x.shape[-1] ** 0.5 + ")),),
            stage="positions",
            hints=(
                "What would the result be if all positions were 0?",
                "There is nothing but a sum in the last step.",
            ),
        ),
        Pitfall(
            id="seed-ignored",
            title="the parameters do not depend on the seed",
            advice=(
                "Two seeds should give two models. With a fixed key the initial weights are "
                "always the same, and runs that should be independent are copies."
            ),
            edits=(Edit("init(jax.random.key(seed)", "init(jax.random.key(0)"),),
            check="seed",
            hints=(
                "Where does the random key of your init come from?",
                "Call your function with two seeds and compare the results.",
            ),
        ),
    ),
    hints=(
        "Follow the walk-through with pen and paper and write the shape beside every array.",
        "There are two parameters and two steps. Which step changes the number of rows?",
        (
            "First make the sequence one row longer at its beginning. Then add a table that has "
            "exactly the shape of what you have got."
        ),
    ),
)
