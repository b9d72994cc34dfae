"""Problem 46: a Vision Transformer with a CLS token."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall, Problem, Stage, Variant
from grader.specs.shapes import VIT_CORNERS, VIT_FIELDS, derive_width, image, vit_symbols, vit_tells

CLS = 'cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))'
JOIN = 'checkpoint_name(jnp.concatenate([cls, x], axis=0), "cls")'
TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'checkpoint_name(x + positions, "positions")'
LOOP = "for i in range(self.num_layers):"
BLOCK = 'x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)'
BLOCK_0 = 'EncoderBlock(self.num_heads, self.d_ff, name="block_0")'
NORM = 'checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")'
ROW_0 = 'checkpoint_name(x[0], "row_0")'
HEAD = 'nn.Dense(self.num_classes, name="head")(x)'

PROBLEM = Problem(
    number=46,
    slug="vit_cls",
    title="Vision Transformer with a CLS token",
    teaches="the whole ViT: patches, CLS, positions, blocks, classification from one token",
    contracts=(
        Contract(
            function="vit_cls_forward",
            arguments=(
                "seed",
                "image",
                "patch_size",
                "d_model",
                "num_heads",
                "d_ff",
                "num_layers",
                "num_classes",
            ),
            outputs=("logits",),
            arrays=lambda sizes: {"image": image(sizes)},
        ),
    ),
    fields=VIT_FIELDS,
    derive=derive_width,
    tells=vit_tells,
    corners=VIT_CORNERS,
    symbols=vit_symbols,
    blocks=(38, 41),
    parameters={
        "patch_embed": "patch projection",
        "cls": "CLS token",
        "positions": "position table",
        "block_": "encoder block",
        "final_norm": "final LayerNorm",
        "head": "classification head",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("cls", "+CLS", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("row_0", "row 0"),
    ),
    pitfalls=(
        Pitfall(
            id="cls-flat",
            title="the CLS token has shape (D,) and cannot join the sequence",
            advice=(
                "The tokens are a matrix with one row each; a vector of D numbers has no row "
                "axis, so it cannot be joined to them as it is."
            ),
            edits=(Edit(CLS, CLS.replace("(1, self.d_model)", "(self.d_model,)")),),
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
                "The CLS token is one more token, not one more feature. The sequence grows "
                "from N to N + 1 rows and its width stays D."
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
            id="cls-every-row",
            title="the CLS token is added to every patch instead of joining them",
            advice=(
                "Added to all rows, the CLS token is only a bias. It has to be a row of its own, "
                "which attends to the patches and can be read at the end."
            ),
            edits=(Edit(JOIN, 'checkpoint_name(cls + x, "cls")'),),
            check="parameters",
            stage="cls",
            hints=(
                "How many rows should the sequence have once the CLS token is there?",
                "The CLS token stands beside the patches, not on top of them.",
            ),
        ),
        Pitfall(
            id="cls-fixed",
            title="the CLS token is a constant, not a parameter",
            advice=(
                "The CLS token is learned: training finds out which question it should put to "
                "the patches. A row of zeros gets no gradient and never changes."
            ),
            edits=(Edit(CLS, "cls = jnp.zeros((1, self.d_model))"),),
            check="parameters",
            stage="cls",
            hints=(
                "Count your parameters: one row is missing.",
                "What makes an array in a Linen module one that the optimiser can change?",
            ),
        ),
        Pitfall(
            id="cls-last",
            title="the CLS token is appended at the end",
            advice=(
                "The CLS token comes before the patches. At the end of the sequence it gets the "
                "last position, and the first row is a patch, not the CLS token."
            ),
            edits=(Edit(JOIN, JOIN.replace("[cls, x]", "[x, cls]")),),
            stage="positions",
            hints=(
                "Which token does row 0 hold after you have joined the two?",
                "The order in which arrays are concatenated is their order in the sequence.",
            ),
        ),
        Pitfall(
            id="positions-short",
            title="the position table has N rows, one too few",
            advice=(
                "By the time positions are added the sequence has one token more than there are "
                "patches, and that token has a position too."
            ),
            edits=(Edit(TABLE, TABLE.replace("x.shape", "(x.shape[0] - 1, self.d_model)")),),
            check="runs",
            stage="positions",
            hints=(
                "How long is the sequence when the positions are added?",
                "The CLS token has a position of its own.",
            ),
        ),
        Pitfall(
            id="positions-before-cls",
            title="positions are added to the patches before the CLS token joins",
            advice=(
                "Added that early, the position table has a row for each patch and none for the "
                "CLS token. First the sequence is completed, then all of it gets positions."
            ),
            edits=(
                Edit(
                    f"{CLS}\n        x = {JOIN}\n        {TABLE}\n        x = {ADD}",
                    f"{CLS}\n        {TABLE}\n        x = x + positions\n"
                    f'        x = checkpoint_name(jnp.concatenate([cls, x], axis=0), "positions")',
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
                "The table has N + 1 rows and all of them are added. Here the first row is never "
                "used, so it would not learn anything."
            ),
            edits=(Edit(ADD, 'checkpoint_name(x.at[1:].add(positions[1:]), "positions")'),),
            stage="positions",
            hints=(
                "Which rows of your position table have an effect on the logits?",
                "Positions are added to the whole sequence, not to the patches alone.",
            ),
        ),
        Pitfall(
            id="positions-missing",
            title="no position embedding is added",
            advice=(
                "Attention does not see in which order the tokens stand. Without positions the "
                "model takes any shuffling of the patches for the same image."
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
            id="shared-block",
            title="one and the same block is applied in every layer",
            advice=(
                "Each layer has weights of its own. A block that is created once and applied "
                "several times has the parameters of a single layer."
            ),
            edits=(
                Edit(LOOP, f"block = {BLOCK_0}\n        for _ in range(self.num_layers):"),
                Edit(BLOCK, "x = block(x)"),
            ),
            check="parameters",
            stage="attention_added",
            hints=(
                "Does the number of your parameters grow with num_layers?",
                "How many blocks does your code create, and how many does it apply?",
            ),
        ),
        Pitfall(
            id="one-block-short",
            title="one block too few is applied",
            advice=(
                "The model has num_layers encoder blocks, all of them alike. Look at where the "
                "loop begins and where it ends."
            ),
            edits=(Edit(LOOP, "for i in range(self.num_layers - 1):"),),
            check="parameters",
            stage="attention_added",
            hints=(
                "With num_layers = 1, how many blocks does your model apply?",
                "The loop over the blocks stops one step early.",
            ),
        ),
        Pitfall(
            id="no-final-norm",
            title="the final LayerNorm is forgotten",
            advice=(
                "In a pre-LN block the LayerNorms stand on the branches, so what leaves the last "
                "block has not been normalised. The head should not see its raw scale."
            ),
            edits=(Edit(NORM, 'checkpoint_name(x, "final_norm")'),),
            check="parameters",
            stage="final_norm",
            hints=(
                "What happens between the last block and the head?",
                "Pre-LN models need one LayerNorm more than the blocks contain.",
            ),
        ),
        Pitfall(
            id="last-row",
            title="the last row is read instead of row 0",
            advice=(
                "The logits come from the CLS token. The last row is the patch at the bottom "
                "right of the image."
            ),
            edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x[-1]")),),
            stage="row_0",
            hints=(
                "Which row of the sequence belongs to the whole image?",
                "Where did you put the CLS token, and where do you read it?",
            ),
        ),
        Pitfall(
            id="cls-last-and-read-there",
            title="the CLS token stands at the end, with the last position",
            advice=(
                "It is read where it stands, so all hangs together; but the contract has it in "
                "front: position 0 is that of the CLS token, and patch i has position i + 1."
            ),
            edits=(
                Edit(JOIN, JOIN.replace("[cls, x]", "[x, cls]")),
                Edit(ROW_0, ROW_0.replace("x[0]", "x[-1]")),
            ),
            stage="positions",
            hints=(
                "Which row of the position table is added to the CLS token?",
                "The order in which arrays are concatenated is their order in the sequence.",
            ),
        ),
        Pitfall(
            id="mean-of-rows",
            title="the mean of all rows is read instead of row 0",
            advice=(
                "Averaging is another way to make one vector of a sequence, and problem 45 is "
                "about it. Here a token was put in for just this purpose; it alone is read."
            ),
            edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x.mean(axis=0)")),),
            stage="row_0",
            hints=(
                "What is the CLS token for, if all rows are averaged?",
                "The head sees a single row of the sequence.",
            ),
        ),
        Pitfall(
            id="mean-of-patches",
            title="the mean of the patches is read and the CLS token thrown away",
            advice=(
                "The CLS token takes part in every block so that it can be read at the end. If "
                "the patches are averaged instead, its last state has no effect at all."
            ),
            edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x[1:].mean(axis=0)")),),
            stage="row_0",
            hints=(
                "Which of the rows does the head see?",
                "Everything that the head needs has been collected in a single token.",
            ),
        ),
        Pitfall(
            id="every-row",
            title="the head is applied to every row",
            advice=(
                "The result is one vector of logits for the image, not one for each token. A row "
                "has to be chosen first."
            ),
            edits=(Edit(f"x = {ROW_0}\n        ", ""),),
            check="shape",
            stage="row_0",
            hints=(
                "Compare the shape of your result with (num_classes,).",
                "Which token stands for the whole image?",
            ),
        ),
        Pitfall(
            id="pre-logits",
            title="a Dense layer with tanh stands before the head",
            advice=(
                "BERT has such a pooler, and the ViT paper used one in pre-training. The model "
                "of this problem has a single Dense between row 0 and the logits."
            ),
            edits=(
                Edit(HEAD, HEAD.replace("(x)", '(nn.tanh(nn.Dense(self.d_model, name="pre")(x)))')),
            ),
            check="parameters",
            hints=(
                "Count the Dense layers behind the final LayerNorm.",
                "The head is linear: there is no activation between row 0 and the logits.",
            ),
        ),
        Pitfall(
            id="head-no-bias",
            title="the head has no bias",
            advice=(
                "Every projection of the model has a bias, the last one too. With it the model "
                "can express that some classes are more frequent than others."
            ),
            edits=(Edit(HEAD, HEAD.replace('name="head"', 'use_bias=False, name="head"')),),
            check="parameters",
            hints=(
                "Some num_classes parameters are missing. Which layer could they belong to?",
                "Look at the options with which you create the last Dense.",
            ),
        ),
        Pitfall(
            id="probabilities",
            title="a softmax is applied to the logits",
            advice=(
                "The contract asks for logits. A cross-entropy loss applies the softmax itself; "
                "a second one flattens the gradients and slows the training down."
            ),
            edits=(Edit(HEAD, f"nn.softmax({HEAD})"),),
            hints=(
                "Do your outputs add up to 1? Logits need not.",
                "Look at what you do after the last Dense.",
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
    variants=(
        Variant(
            id="final-epsilon",
            remark="the final LayerNorm has epsilon 1e-5; here it is 1e-6, Flax's default",
            edits=(
                Edit(
                    'nn.LayerNorm(name="final_norm")',
                    'nn.LayerNorm(epsilon=1e-5, name="final_norm")',
                ),
            ),
        ),
    ),
    hints=(
        "Write the shape of every step down first; each step changes at most one of the two axes.",
        (
            "The model is a chain: patches, one more row, positions, blocks, LayerNorm, one row, "
            "logits. Check which of the intermediate values is the first to differ."
        ),
        (
            "Problems 38, 39 and 41 are the parts. What is left is to join them, to normalise once "
            "more and to read the row of the CLS token."
        ),
    ),
)
