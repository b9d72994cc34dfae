"""What goes wrong in the votes of ``extra_head_pool``."""

from __future__ import annotations

from grader.problem import Edit, Pitfall

SPLIT = "heads = tokens.reshape(tokens.shape[0], num_heads, -1)"
VOTES = "heads[:, :, -1].mean(axis=1)"
SOFTMAX = "jax.nn.softmax(votes / temperature)"
FEATURES = "heads[:, :, :-1].reshape(tokens.shape[0], -1)"
RESULT = "return probs @ features, probs"

PITFALLS = (
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
                "return (probs[:, :, None] * features).sum(axis=0).reshape(-1), probs.mean(axis=1)",
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
)
