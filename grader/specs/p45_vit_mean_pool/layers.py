"""What goes wrong in the blocks, in the pooling and in the head."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.blocks import NORM, NORM_IN_THE_LOOP, WHICH_BLOCKS
from grader.specs.p45_vit_mean_pool.quotes import ADD, HEAD, MEAN

PITFALLS = (
    *WHICH_BLOCKS,
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
    *NORM_IN_THE_LOOP,
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
        id="patch-0-left-out",
        title="the first patch is left out of the mean",
        advice=(
            "In problem 46 row 0 is the CLS token. Here it is a patch like all others, and the "
            "mean goes over all of them."
        ),
        edits=(Edit(MEAN, MEAN.replace("x.mean", "x[1:].mean")),),
        stage="mean",
        hints=(
            "How many rows does your mean go over, and how many patches are there?",
            "What does your model return for an image of a single patch?",
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
        id="log-probabilities",
        title="a log-softmax is applied to the logits",
        advice=(
            "The contract asks for logits. They differ from these by one number alone, so that "
            "cross-entropy is the same, but what reads the logits themselves is not."
        ),
        edits=(Edit(HEAD, f"nn.log_softmax({HEAD})"),),
        hints=(
            "Are all your outputs negative? Logits need not be.",
            "Look at what you do after the last Dense.",
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
)
