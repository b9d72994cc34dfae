"""Problem 45: a Vision Transformer with mean pooling."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall, Problem, Stage, Variant
from grader.specs.shapes import VIT_CORNERS, VIT_FIELDS, derive_width, image, vit_symbols, vit_tells

TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'checkpoint_name(x + positions, "positions")'
LOOP = "for i in range(self.num_layers):"
BLOCK = 'x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)'
BLOCK_0 = 'EncoderBlock(self.num_heads, self.d_ff, name="block_0")'
NORM = 'checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")'
MEAN = 'checkpoint_name(x.mean(axis=0), "mean")'
HEAD = 'nn.Dense(self.num_classes, name="head")(x)'

PROBLEM = Problem(
    number=45,
    slug="vit_mean_pool",
    title="Vision Transformer with mean pooling",
    teaches="a first complete ViT: from pixels to logits by averaging the tokens",
    contracts=(
        Contract(
            function="vit_forward",
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
        "positions": "position table",
        "block_": "encoder block",
        "final_norm": "final LayerNorm",
        "head": "classification head",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("mean", "mean over the tokens"),
    ),
    pitfalls=(
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
                "block has not been normalised. Tokens with large values dominate the mean."
            ),
            edits=(Edit(NORM, 'checkpoint_name(x, "final_norm")'),),
            check="parameters",
            stage="final_norm",
            hints=(
                "What happens between the last block and the mean?",
                "Pre-LN models need one LayerNorm more than the blocks contain.",
            ),
        ),
        Pitfall(
            id="norm-after-mean",
            title="the final LayerNorm comes after the mean",
            advice=(
                "The two do not commute. Normalised first, every token has an equal say in the "
                "mean; averaged first, the tokens with large values decide."
            ),
            edits=(Edit(f"x = {NORM}\n        x = {MEAN}", f"x = {MEAN}\n        x = {NORM}"),),
            stage="final_norm",
            hints=(
                "Go through the small table at the end of the walk-through.",
                "Which shape should the final LayerNorm see?",
            ),
        ),
        Pitfall(
            id="final-norm-over-everything",
            title="the final LayerNorm takes one mean and one variance of the whole array",
            advice=(
                "Each token has a mean and a variance of its own. Taken over all numbers at once, "
                "a token with large values decides how all the others are scaled."
            ),
            edits=(Edit(NORM, NORM.replace("name=", "reduction_axes=(0, 1), name=")),),
            stage="final_norm",
            hints=(
                "How many means does your LayerNorm compute for N tokens?",
                "A mean without an axis runs over all axes.",
            ),
        ),
        Pitfall(
            id="row-0",
            title="row 0 is read instead of the mean",
            advice=(
                "Row 0 is the CLS token in problem 46. Here it is nothing but the patch at the "
                "top left; all patches should have a say."
            ),
            edits=(Edit(MEAN, MEAN.replace("x.mean(axis=0)", "x[0]")),),
            stage="mean",
            hints=(
                "Which patches have an equal influence on your logits?",
                "What does row 0 hold when there is no CLS token?",
            ),
        ),
        Pitfall(
            id="sum",
            title="the tokens are summed, not averaged",
            advice=(
                "A sum grows with the number of patches, so a larger image would have larger "
                "logits. The mean does not depend on the size."
            ),
            edits=(Edit(MEAN, MEAN.replace("mean(", "sum(")),),
            stage="mean",
            hints=(
                "Compare your pooled vector with the reference's: is it a multiple?",
                "What should happen to the result if every token occurred twice?",
            ),
        ),
        Pitfall(
            id="maximum",
            title="the maximum over the tokens is taken, not the mean",
            advice=(
                "A maximum hears one token for each feature and none of the others. The contract "
                "asks for the mean, in which all of them count."
            ),
            edits=(Edit(MEAN, MEAN.replace("mean(", "max(")),),
            stage="mean",
            hints=(
                "If one token changes a little, does your pooled vector change?",
                "The title of the problem names the kind of pooling.",
            ),
        ),
        Pitfall(
            id="mean-over-features",
            title="the mean runs over the features, not over the tokens",
            advice=(
                "That leaves one number for each patch, and after a LayerNorm these numbers say "
                "next to nothing. The head wants a vector of D features."
            ),
            edits=(Edit(MEAN, MEAN.replace("axis=0", "axis=-1")),),
            check="parameters",
            stage="mean",
            hints=(
                "Which shape does the head get to see: (N,) or (D,)?",
                "Along which axis of (N, D) do the tokens lie?",
            ),
        ),
        Pitfall(
            id="every-row",
            title="the tokens are not pooled: there are logits for each of them",
            advice=(
                "The result is one vector of logits for the image, not one for each token. The "
                "sequence has to be reduced to a single vector."
            ),
            edits=(Edit(f"x = {MEAN}\n        ", ""),),
            check="shape",
            stage="mean",
            hints=(
                "Compare the shape of your result with (num_classes,).",
                "How do N vectors become one?",
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
            id="frozen-patches",
            title="the patch embedding gets no gradient",
            advice=(
                "MoCo v3 freezes its patch projection to keep the training stable. Here every "
                "parameter is trained, and nothing stops the gradient on its way back."
            ),
            edits=(Edit(ADD, ADD.replace("x + ", "jax.lax.stop_gradient(x) + ")),),
            check="gradients",
            hints=(
                "Differentiate one logit with respect to each parameter: where is it 0?",
                "The gradient should reach the image itself.",
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
            edits=(Edit(NORM, NORM.replace("name=", "epsilon=1e-5, name=")),),
        ),
    ),
    hints=(
        "Write the shape of every step down first; only two steps change the number of rows.",
        (
            "The model is a chain: patches, positions, blocks, LayerNorm, mean, logits. Check "
            "which of the intermediate values is the first to differ."
        ),
        (
            "Problems 38 and 41 are the parts. What is left: a learned table, a loop, one "
            "LayerNorm for the tokens, their mean and a last Dense."
        ),
    ),
)
