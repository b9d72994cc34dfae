"""Problem 48: pooling with an extra channel in every head, and a ViT that ends in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Problem, Property, Run, Sizes, Stage
from grader.specs.shapes import (
    VIT_CORNERS,
    VIT_FIELDS,
    derive_width,
    image,
    patches,
    tells_apart,
    vit_tells,
)

SPLIT = "heads = tokens.reshape(tokens.shape[0], num_heads, -1)"
VOTES = "heads[:, :, -1].mean(axis=1)"
SOFTMAX = "jax.nn.softmax(votes / temperature)"
FEATURES = "heads[:, :, :-1].reshape(tokens.shape[0], -1)"
RESULT = "return probs @ features, probs"
WIDTH = "width = self.output_dim + self.num_heads"
TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'x = checkpoint_name(x + positions, "positions")'
END = "return extra_head_pool(x, self.num_heads)"

# Exact powers of two: then dividing by the temperature and multiplying by its inverse agree.
# 1.0 is what the model uses, so every draw of the pooling alone can use another one.
TEMPERATURES = (0.5, 2.0, 0.25)
# So large that a softmax without protection against overflow fails in float64 too.
SCALES = (1.0, 3.0, 1e5)
CORNERS = (
    {"temperature": 0.03125, "token_scale": 1.0},
    {"temperature": 16.0, "token_scale": 1.0},
    {"temperature": 0.5, "token_scale": 3.0},
)


def _derive(fields: Mapping[str, Any]) -> Sizes:
    """A draw whose ``head_dim`` is d + 1: the features of a head and its vote."""
    sizes = derive_width(fields)
    width = sizes["d_model"]
    return {**sizes, "width": width, "output_dim": width - sizes["num_heads"]}


def _tells(sizes: Sizes) -> bool:
    n, heads = patches(sizes), sizes["num_heads"]
    lengths = (n, sizes["width"], sizes["output_dim"], sizes["d_ff"])
    apart = tells_apart(*lengths) and tells_apart(n, heads, sizes["head_dim"])
    return apart and vit_tells(sizes)


def _symbols(sizes: Sizes) -> dict[str, int]:
    return {
        "N": patches(sizes),
        "H": sizes["num_heads"],
        "d + 1": sizes["head_dim"],
        "H·d": sizes["output_dim"],
        "H·(d + 1)": sizes["width"],
        "d_ff": sizes["d_ff"],
        "P·P·C": sizes["patch_size"] ** 2 * sizes["channels"],
    }


def _tokens(sizes: Sizes) -> ArraySpec:
    return ArraySpec((patches(sizes), sizes["width"]), scale=sizes["token_scale"])


def _sum_to_one(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    probs = run(arrays)[1]
    return bool(abs(probs.sum() - 1) < 1e-6 and probs.min() >= 0)


def _within(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    embedding = run(arrays)[0]
    heads = sizes["num_heads"]
    tokens = arrays["tokens"]
    features = tokens.reshape(len(tokens), heads, -1)[:, :, :-1].reshape(len(tokens), -1)
    slack = 1e-6 * abs(features).max()
    low, high = features.min(axis=0) - slack, features.max(axis=0) + slack
    return bool(((low <= embedding) & (embedding <= high)).all())


PROBLEM = Problem(
    number=48,
    slug="extra_head_pool",
    title="Pooling by votes from an extra channel in every head",
    teaches="splitting channels into heads, softmax over patches, a convex sum one can look at",
    contracts=(
        Contract(
            function="extra_head_pool",
            arguments=("tokens", "num_heads", "temperature"),
            outputs=("embedding", "probs"),
            arrays=lambda sizes: {"tokens": _tokens(sizes)},
            properties=(
                Property("the probabilities sum to 1", _sum_to_one),
                Property("the embedding lies in the convex hull of the patches", _within),
            ),
            creates_parameters=False,
        ),
        Contract(
            function="vit_extra_head_forward",
            arguments=(
                "seed",
                "image",
                "patch_size",
                "output_dim",
                "num_heads",
                "d_ff",
                "num_layers",
            ),
            outputs=("embedding", "probs"),
            arrays=lambda sizes: {"image": image(sizes)},
        ),
    ),
    fields={
        **{name: choices for name, choices in VIT_FIELDS.items() if name != "num_classes"},
        "temperature": TEMPERATURES,
        "token_scale": SCALES,
    },
    derive=_derive,
    tells=_tells,
    corners=tuple(
        {**{k: v for k, v in corner.items() if k != "num_classes"}, **more}
        for corner, more in zip(VIT_CORNERS, CORNERS, strict=True)
    ),
    symbols=_symbols,
    blocks=(38, 41),
    parameters={
        "patch_embed": "patch projection",
        "positions": "position table",
        "block_": "encoder block",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("votes", "mean vote of the heads"),
        Stage("probs", "probabilities of the patches"),
        Stage("features", "features without the votes"),
    ),
    pitfalls=(
        Pitfall(
            id="votes-last-channels",
            title="the last H channels of the row are taken for the votes",
            advice=(
                "A row consists of heads that stand side by side, and each head ends with its "
                "vote. The votes are spread over the row; at the end of it there is only one."
            ),
            edits=(
                Edit(VOTES, "tokens[:, -num_heads:].mean(axis=1)"),
                Edit(FEATURES, "tokens[:, :-num_heads]"),
            ),
            stage="votes",
            hints=(
                "With H = 2 and d = 2, which two of the six channels are votes?",
                "Give the heads an axis of their own before you look for their last channel.",
            ),
        ),
        Pitfall(
            id="votes-first-channel",
            title="the first channel of each head is taken for its vote",
            advice=(
                "Which channel votes is a convention, and here it is the last one. Taking the "
                "first one moves the features of every head by one place as well."
            ),
            edits=(
                Edit(VOTES, VOTES.replace("-1]", "0]")),
                Edit(FEATURES, FEATURES.replace(":-1]", "1:]")),
            ),
            stage="votes",
            hints=(
                "Compare with the walk-through: which columns are in brackets?",
                "In every head the features come first and the vote after them.",
            ),
        ),
        Pitfall(
            id="heads-strided",
            title="the row is split as (d + 1, H), not as (H, d + 1)",
            advice=(
                "The channels of one head lie next to each other. Reshaped the other way round, "
                "each of your heads collects every H-th channel of the row."
            ),
            edits=(
                Edit(
                    SPLIT,
                    "heads = tokens.reshape(tokens.shape[0], -1, num_heads).swapaxes(1, 2)",
                ),
            ),
            stage="votes",
            hints=(
                "Reshape fills the last axis first. Which of the two should that be?",
                "Try a row of 0, 1, 2, … and print what your first head contains.",
            ),
        ),
        Pitfall(
            id="votes-summed",
            title="the votes of the heads are added up, not averaged",
            advice=(
                "A sum over H heads is H times the mean, which makes the softmax as sharp as "
                "with a temperature H times lower."
            ),
            edits=(Edit(VOTES, VOTES.replace("mean", "sum")),),
            stage="votes",
            hints=(
                "Your probabilities are too sharp. By which factor are the logits too large?",
                "How do several votes become one, in the words of the task?",
            ),
        ),
        Pitfall(
            id="softmax-per-head",
            title="each head gets a softmax of its own, and the probabilities are averaged",
            advice=(
                "The mean of softmaxes is not the softmax of the mean. One vote per patch has to "
                "be formed first; only then do the patches compete."
            ),
            edits=(
                Edit(VOTES, "heads[:, :, -1]"),
                Edit(SOFTMAX, "jax.nn.softmax(votes / temperature, axis=0).mean(axis=1)"),
            ),
            stage="votes",
            hints=(
                "Two steps are in the wrong order. Which two?",
                "How many numbers go into your softmax for N patches and H heads?",
            ),
        ),
        Pitfall(
            id="heads-pooled-apart",
            title="every head is pooled with its own weights",
            advice=(
                "All heads share one distribution over the patches. If each follows its own "
                "vote, the embedding is no longer an average of whole patches."
            ),
            edits=(
                Edit(VOTES, "heads[:, :, -1]"),
                Edit(SOFTMAX, "jax.nn.softmax(votes / temperature, axis=0)"),
                Edit(FEATURES, "heads[:, :, :-1]"),
                Edit(
                    RESULT,
                    "return (probs[:, :, None] * features).sum(axis=0).reshape(-1), "
                    "probs.mean(axis=1)",
                ),
            ),
            stage="votes",
            hints=(
                "How many sets of weights does your pooling use?",
                "The votes of the heads are merged before they weigh anything.",
            ),
        ),
        Pitfall(
            id="votes-compete-in-heads",
            title="the softmax goes over the heads, not over the patches",
            advice=(
                "It is the patches that compete for a place in the embedding. Over the heads the "
                "numbers add up to 1 too, but a patch does not learn about the others."
            ),
            edits=(
                Edit(VOTES, "heads[:, :, -1]"),
                Edit(SOFTMAX, "jax.nn.softmax(votes / temperature, axis=1).mean(axis=1)"),
            ),
            stage="votes",
            hints=(
                "Add up your probabilities over all patches.",
                "Which axis is left after the heads have been averaged?",
            ),
        ),
        Pitfall(
            id="raw-votes",
            title="the votes weigh the patches without a softmax",
            advice=(
                "Raw votes may be negative and add up to anything. A convex sum needs weights "
                "that are positive and add up to 1."
            ),
            edits=(Edit(SOFTMAX, "votes / temperature"),),
            stage="probs",
            hints=(
                "Are all your probabilities positive?",
                "Between the votes and the weighted sum a step is missing.",
            ),
        ),
        Pitfall(
            id="sigmoid",
            title="a sigmoid is used in place of the softmax",
            advice=(
                "A sigmoid judges each patch for itself, and its results need not add up to 1. "
                "Here the patches share one unit of probability."
            ),
            edits=(Edit(SOFTMAX, "jax.nn.sigmoid(votes / temperature)"),),
            stage="probs",
            hints=(
                "Add up your probabilities over all patches.",
                "If one patch gets more, the others must get less.",
            ),
        ),
        Pitfall(
            id="temperature-multiplied",
            title="the votes are multiplied by the temperature",
            advice=(
                "A high temperature makes the distribution flat, a low one makes it sharp. Yours "
                "does it the other way round."
            ),
            edits=(Edit(SOFTMAX, SOFTMAX.replace("/", "*")),),
            stage="probs",
            hints=(
                "At temperature 1 you are right. Try 0.5: which way do the probabilities move?",
                "Near temperature 0 the best patch should take everything.",
            ),
        ),
        Pitfall(
            id="temperature-ignored",
            title="the temperature has no effect",
            advice=(
                "At temperature 1 the result is right, at any other it is the same. The argument "
                "is not used where the softmax is computed."
            ),
            edits=(Edit(SOFTMAX, "jax.nn.softmax(votes)"),),
            stage="probs",
            hints=(
                "Call your function with two temperatures and compare.",
                "Which line of yours mentions the temperature?",
            ),
        ),
        Pitfall(
            id="overflow",
            title="the softmax overflows when votes are large",
            advice=(
                "The exponential of a large number is infinite, and infinity divided by infinity "
                "is not a number. The result of a softmax does not change if the same number is "
                "taken away from all the logits."
            ),
            edits=(
                Edit(
                    SOFTMAX,
                    "jax.numpy.exp(votes / temperature) / jax.numpy.exp(votes / temperature).sum()",
                ),
            ),
            check="finite",
            stage="probs",
            hints=(
                "Try votes around 1000.",
                "Which function of the library computes a softmax that never overflows?",
            ),
        ),
        Pitfall(
            id="votes-in-features",
            title="the votes stay among the features",
            advice=(
                "The vote has done its work once the probabilities are there. The embedding has "
                "d numbers for each head, not d + 1."
            ),
            edits=(Edit(FEATURES, "tokens"),),
            check="shape",
            stage="features",
            hints=(
                "How long is your embedding, and how long should it be?",
                "You are H numbers too many. Where do they come from?",
            ),
        ),
        Pitfall(
            id="features-interleaved",
            title="the features of the heads are interleaved",
            advice=(
                "The features are in the order of the heads: all of head 0, then all of head 1. "
                "You have first feature 0 of all heads, then feature 1 of all heads."
            ),
            edits=(Edit(FEATURES, FEATURES.replace("].resh", "].swapaxes(1, 2).resh")),),
            stage="features",
            hints=(
                "Your embedding has the right numbers in the wrong order.",
                "In which order are the axes when you merge them into one?",
            ),
        ),
        Pitfall(
            id="features-unit-length",
            title="the features of every patch are scaled to length 1",
            advice=(
                "The published model does this before it takes the sum; this problem does not. "
                "The features go into the sum as they are."
            ),
            edits=(
                Edit(
                    RESULT,
                    "features = features / jax.numpy.linalg.norm(features, axis=1, keepdims=True)\n"
                    f"    {RESULT}",
                ),
            ),
            hints=(
                "Double the tokens of one patch but not its votes. What should happen?",
                "No normalisation takes place in this pooling.",
            ),
        ),
        Pitfall(
            id="plain-mean",
            title="the embedding is the plain mean of the features",
            advice=(
                "The probabilities are right, but the embedding does not use them: every patch "
                "counts the same."
            ),
            edits=(Edit(RESULT, "return features.mean(axis=0), probs"),),
            hints=(
                "Your second result is right. Does the first one depend on it?",
                "A weighted sum, not an average.",
            ),
        ),
        Pitfall(
            id="not-summed",
            title="the weighted features are returned without being summed",
            advice=(
                "The weights have been applied, but there are still N rows. An embedding is one "
                "vector for the whole image."
            ),
            edits=(Edit(RESULT, "return probs[:, None] * features, probs"),),
            check="shape",
            hints=(
                "How many axes does your embedding have?",
                "Which axis should be gone after the pooling?",
            ),
        ),
        Pitfall(
            id="logits-returned",
            title="the votes are returned in place of the probabilities",
            advice=(
                "The embedding is right, so you have computed the probabilities. The second "
                "result is what you weighed the patches with, after the softmax."
            ),
            edits=(Edit(RESULT, "return probs @ features, votes"),),
            hints=(
                "Does your second result add up to 1?",
                "Your first result is right; which of your variables did it use?",
            ),
        ),
        Pitfall(
            id="swapped",
            title="the two results are returned in the wrong order",
            advice="The contract asks for the embedding first, then for the probabilities.",
            edits=(Edit(RESULT, "return probs, probs @ features"),),
            check="shape",
            hints=(
                "Look at the shapes of the two results, one after the other.",
                "Compare the return line with the contract.",
            ),
        ),
        Pitfall(
            id="width-too-small",
            title="the model is output_dim wide, without room for the votes",
            advice=(
                "Each head gives up one channel for its vote. If the tokens are only output_dim "
                "wide, the embedding comes out num_heads too short."
            ),
            edits=(Edit(WIDTH, "width = self.output_dim"),),
            check="parameters",
            stage="patches",
            hints=(
                "How long is the embedding of your model, and how long should it be?",
                "How many channels does a token need to have output_dim left after the votes?",
            ),
        ),
        Pitfall(
            id="width-one-more",
            title="the model has one extra channel in all, not one in every head",
            advice=(
                "Every head has a vote of its own, so that the width grows by the number of "
                "heads. With one more channel the row cannot even be split into heads."
            ),
            edits=(Edit(WIDTH, "width = self.output_dim + 1"),),
            check="runs",
            stage="patches",
            hints=(
                "By what must the width be divisible, for the attention and for the pooling?",
                "How many votes does a token hold?",
            ),
        ),
        Pitfall(
            id="positions-missing",
            title="no position embedding is added",
            advice=(
                "Without positions the blocks cannot know where a patch was, and the votes "
                "cannot depend on it. The model has a learned table with one row per patch."
            ),
            edits=(
                Edit(f"{TABLE}\n        ", ""),
                Edit(ADD, 'x = checkpoint_name(x, "positions")'),
            ),
            check="parameters",
            stage="positions",
            hints=(
                "What happens if you shuffle the patches of the image?",
                "A learned table is added to the tokens before the first block.",
            ),
        ),
        Pitfall(
            id="positions-late",
            title="positions are added after the blocks",
            advice=(
                "The blocks should already know where every token comes from. Added after them, "
                "the positions only reach the pooling."
            ),
            edits=(
                Edit(f"\n        {ADD}", ""),
                Edit(END, f"{ADD}\n        {END}"),
            ),
            stage="positions",
            hints=(
                "Which of the tokens that the first block sees know their place?",
                "Positions come directly after the patch embedding.",
            ),
        ),
        Pitfall(
            id="cls-token",
            title="the model has a CLS token",
            advice=(
                "Here the patches vote on the embedding themselves, so nobody needs to collect "
                "it. With a CLS token there are N + 1 probabilities instead of N."
            ),
            edits=(
                Edit(
                    TABLE,
                    'cls = self.param("cls", nn.initializers.normal(0.02), (1, width))\n'
                    f"        x = jax.numpy.concatenate([cls, x], axis=0)\n        {TABLE}",
                ),
            ),
            check="parameters",
            stage="positions",
            hints=(
                "How many probabilities do you return for N patches?",
                "Compare the list of steps of this model with that of problem 46.",
            ),
        ),
        Pitfall(
            id="final-norm",
            title="a LayerNorm stands before the pooling",
            advice=(
                "The ViTs of problems 45 to 47 end with a LayerNorm, this one does not. Over a "
                "whole row it would mix votes and features and make all votes about the same size."
            ),
            edits=(Edit(END, END.replace("(x,", '(nn.LayerNorm(name="final_norm")(x),')),),
            check="parameters",
            stage="votes",
            hints=(
                "2 * width parameters too many: which module has that size?",
                "What comes between the last block and the pooling?",
            ),
        ),
        Pitfall(
            id="projection",
            title="the embedding goes through a projection",
            advice=(
                "The features are the embedding: that is why the model was made num_heads wider. "
                "A Dense behind the pooling would hide where its numbers come from."
            ),
            edits=(
                Edit(
                    END,
                    "embedding, probs = extra_head_pool(x, self.num_heads)\n"
                    '        return nn.Dense(self.output_dim, name="head")(embedding), probs',
                ),
            ),
            check="parameters",
            hints=(
                "How many layers with weights follow the last block?",
                "The result of the pooling already has output_dim numbers.",
            ),
        ),
        Pitfall(
            id="model-seed-ignored",
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
        "Begin with the pooling: it needs no model, and the walk-through has numbers for it.",
        (
            "Give the heads an axis of their own. Then the votes and the features are two slices "
            "of one array, and every other step says which axis it goes over."
        ),
        (
            "Pooling: split, mean of the votes over the heads, temperature, softmax over the "
            "patches, merge the features, weighted sum. Model: patches, positions, blocks, "
            "pooling; only the width is new."
        ),
    ),
)
