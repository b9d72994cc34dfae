"""What goes wrong with the features and the result of ``extra_head_pool``."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p48_extra_head_pool.vote_pitfalls import FEATURES, RESULT

PITFALLS = (
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
        id="weights-averaged",
        title="the weighted features are averaged over the patches, not summed",
        advice=(
            "The probabilities sum to 1 already, so the weighted sum is the average. Divided by "
            "the number of patches once more, the embedding shrinks as images grow."
        ),
        edits=(Edit(RESULT, "return (probs[:, None] * features).mean(axis=0), probs"),),
        hints=(
            "Give all patches the same features. What should the embedding be?",
            "What do the weights sum to, and by what do you divide afterwards?",
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
        id="temperature-for-probs-only",
        title="the embedding is summed with weights of temperature 1",
        advice=(
            "The probabilities that are returned are right, but others weigh the features: the "
            "temperature has to sharpen or flatten what the embedding is made of, too."
        ),
        edits=(Edit(RESULT, "return jax.nn.softmax(votes) @ features, probs"),),
        hints=(
            "With temperature 1 you are right. Which of your two results does it not change?",
            "How many softmaxes does your function compute?",
        ),
    ),
)
