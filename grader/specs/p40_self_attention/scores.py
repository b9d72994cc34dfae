"""What goes wrong with the scores and their softmax."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p40_self_attention.quotes import SCORES, SOFTMAX

PITFALLS = (
    Pitfall(
        id="not-scaled",
        title="the scores are not scaled",
        advice=(
            "A score is a sum over the channels of a head, so it grows with their number. "
            "Unscaled, the softmax soon puts all its weight on one token and stops learning."
        ),
        edits=(Edit(SCORES, SCORES.replace(" / head_dim**0.5", "")),),
        stage="scores",
        hints=(
            "What happens to the scores between the product and the softmax?",
            "How large is a sum of d products of independent normal numbers?",
        ),
    ),
    Pitfall(
        id="scaled-by-width",
        title="the scale is that of the whole width D, not of a head",
        advice=(
            "A score sums over the channels of one head only. Divided by the root of D it "
            "comes out too small, and the attention weights too even."
        ),
        edits=(Edit(SCORES, SCORES.replace("head_dim", "d_model")),),
        stage="scores",
        hints=(
            "Over how many products does a single score sum?",
            "With one head your answer would be right. What changes with two?",
        ),
    ),
    Pitfall(
        id="scaled-without-root",
        title="the scores are divided by the size of a head, not by its square root",
        advice=(
            "A sum of d independent terms grows with the root of d, so that is what keeps "
            "the scores at the same size. Without the root, or with the root divided by twice, "
            "they get too small."
        ),
        edits=(Edit(SCORES, SCORES.replace("head_dim**0.5", "head_dim")),),
        stage="scores",
        hints=(
            "Compare the walk-through: by which number are the scores divided there?",
            "The variance of a score is d. What is its standard deviation?",
        ),
    ),
    Pitfall(
        id="scale-inverted",
        title="the scores are multiplied by the scale instead of divided by it",
        advice=(
            "The scale is there to make the scores smaller, however large a head is. "
            "Multiplying makes them larger, and the softmax saturates."
        ),
        edits=(Edit(SCORES, SCORES.replace(" / ", " * ")),),
        stage="scores",
        hints=(
            "Should larger heads have larger scores?",
            "Check the second step of the walk-through with your code.",
        ),
    ),
    Pitfall(
        id="scaled-after-softmax",
        title="the attention weights are scaled, not the scores",
        advice=(
            "Behind the softmax the scale comes too late: the weights are as sharp as "
            "without it, and they no longer add up to 1."
        ),
        edits=(
            Edit(SCORES, SCORES.replace(" / head_dim**0.5", "")),
            Edit(SOFTMAX, f"{SOFTMAX} / head_dim**0.5"),
        ),
        stage="scores",
        hints=(
            "Do the weights of each token add up to 1?",
            "In which order do scale and softmax come?",
        ),
    ),
    Pitfall(
        id="softmax-over-queries",
        title="the softmax runs over the queries, or its weights are transposed",
        advice=(
            "Each token distributes a weight of 1 over the tokens that it looks at. Along "
            "the other axis it is the weights that a token receives that add up to 1. With "
            "queries and keys exchanged, the two mistakes are the same function."
        ),
        edits=(Edit(SOFTMAX, SOFTMAX.replace("-1", "-2")),),
        stage="weights",
        hints=(
            "Add your weights up along each axis. Which sums should be 1?",
            "Which axis of the scores belongs to the keys?",
        ),
    ),
    Pitfall(
        id="softmax-over-heads",
        title="the softmax runs over the heads",
        advice=(
            "Every head has a distribution of its own over the tokens. Along the head axis "
            "the heads compete with each other instead."
        ),
        edits=(Edit(SOFTMAX, SOFTMAX.replace("-1", "0")),),
        stage="weights",
        hints=(
            "Write down what each of the three axes of the scores stands for.",
            "Weights of different heads have nothing to do with each other.",
        ),
    ),
    Pitfall(
        id="no-softmax",
        title="the scores are used as weights without a softmax",
        advice=(
            "Scores can be negative and of any size. The softmax turns those of a token "
            "into proportions, so that the result is an average of the values."
        ),
        edits=(Edit(SOFTMAX, "scores"),),
        stage="weights",
        hints=(
            "Are your attention weights positive, and do they add up to 1?",
            "One step lies between the scores and the mixing of the values.",
        ),
    ),
    Pitfall(
        id="causal",
        title="a causal mask hides the later tokens",
        advice=(
            "Masks like that belong to models that write text from left to right. Patches "
            "have no past and no future; each of them sees the whole image."
        ),
        edits=(
            Edit(
                SOFTMAX,
                "nn.softmax(jnp.where(jnp.tri(len(x), dtype=bool), scores, -1e9), axis=-1)",
            ),
        ),
        stage="weights",
        hints=(
            "Does the first token know anything of the last one?",
            "This attention needs no mask.",
        ),
    ),
)
