"""Where the LayerNorms stand, what they do, and how that goes wrong."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p41_encoder_block.quotes import ADD_1, ADD_2, LINE, NORM_1, NORM_2

PITFALLS = (
    Pitfall(
        id="post-ln",
        title="post-LN: the LayerNorms stand behind the sums",
        advice=(
            "That is the original Transformer: it normalises x + attention(x). In a pre-LN "
            "block the LayerNorm stands on the branch, before the attention or the MLP, and "
            "the skip connection passes it by."
        ),
        edits=(
            Edit(NORM_1, "y = x"),
            Edit(ADD_1, ADD_1.replace("x + y", 'nn.LayerNorm(name="norm_1")(x + y)')),
            Edit(NORM_2, "y = x"),
            Edit(ADD_2, ADD_2.replace("x + y", 'nn.LayerNorm(name="norm_2")(x + y)')),
        ),
        stage="attention_added",
        hints=(
            "Is the output of your block normalised? It should not be.",
            "Can the input reach the output without passing a LayerNorm?",
        ),
    ),
    Pitfall(
        id="norm-on-branch-output",
        title="each LayerNorm stands behind its branch: x + LN(attention(x))",
        advice=(
            "Swin V2 does it that way. Here attention and MLP read normalised tokens, and what "
            "they answer is added as it is."
        ),
        edits=(
            Edit(NORM_1, "y = x"),
            Edit(ADD_1, ADD_1.replace("x + y", 'x + nn.LayerNorm(name="norm_1")(y)')),
            Edit(NORM_2, "y = x"),
            Edit(ADD_2, ADD_2.replace("x + y", 'x + nn.LayerNorm(name="norm_2")(y)')),
        ),
        stage="attention_added",
        hints=(
            "What do your attention and your MLP take as input?",
            "Each branch begins with its LayerNorm.",
        ),
    ),
    Pitfall(
        id="no-norm-1",
        title="the LayerNorm before the attention is missing",
        advice=(
            "Attention reads normalised tokens. Without the LayerNorm the scores grow with "
            "the tokens from layer to layer, and the softmax saturates."
        ),
        edits=(Edit(NORM_1, "y = x"),),
        check="parameters",
        stage="attention_added",
        hints=(
            "How many LayerNorms does a block have?",
            "One of the two branches begins without its LayerNorm.",
        ),
    ),
    Pitfall(
        id="no-norm-2",
        title="the LayerNorm before the MLP is missing",
        advice=(
            "The MLP reads normalised tokens, as the attention does. The LayerNorm at the "
            "beginning of the block does not help it: a sum has been formed since then."
        ),
        edits=(Edit(NORM_2, "y = x"),),
        check="parameters",
        stage="mlp_added",
        hints=(
            "How many LayerNorms does a block have?",
            "One of the two branches begins without its LayerNorm.",
        ),
    ),
    Pitfall(
        id="shared-norm",
        title="both branches use one and the same LayerNorm",
        advice=(
            "The two LayerNorms have scales and biases of their own, since the tokens they "
            "normalise are different. A layer that is called twice has one set of weights."
        ),
        edits=(
            Edit(NORM_1, f'norm = nn.LayerNorm(name="norm_1"){LINE}y = norm(x)'),
            Edit(NORM_2, "y = norm(x)"),
        ),
        check="parameters",
        stage="mlp_added",
        hints=(
            "How many scales does your block have?",
            "Creating a layer once and calling it twice is not the same as two layers.",
        ),
    ),
    Pitfall(
        id="rms-norm",
        title="RMSNorm in place of LayerNorm",
        advice=(
            "RMSNorm divides by the root mean square; it takes no mean off and has no bias. "
            "Many language models use it, the ViT does not."
        ),
        edits=(
            Edit(NORM_1, NORM_1.replace("LayerNorm", "RMSNorm")),
            Edit(NORM_2, NORM_2.replace("LayerNorm", "RMSNorm")),
        ),
        check="parameters",
        stage="attention_added",
        hints=(
            "What is the mean of a token after your normalisation?",
            "A LayerNorm has two learned vectors.",
        ),
    ),
    Pitfall(
        id="norm-over-tokens",
        title="the LayerNorms run over the tokens, not over the features",
        advice=(
            "Each token is normalised by itself, over its D features. With statistics over "
            "the sequence a token changes when another one does, outside of the attention."
        ),
        edits=(
            Edit(NORM_1, NORM_1.replace("name=", "reduction_axes=0, name=")),
            Edit(NORM_2, NORM_2.replace("name=", "reduction_axes=0, name=")),
        ),
        stage="attention_added",
        hints=(
            "Along which axis of (T, D) do you take mean and variance?",
            "The last axis holds the features of one token.",
        ),
    ),
    Pitfall(
        id="norm-over-everything",
        title="the LayerNorms take one mean and one variance of the whole array",
        advice=(
            "Each token has a mean and a variance of its own. Taken over all numbers at once, "
            "a token with large values decides how all the others are scaled."
        ),
        edits=(
            Edit(NORM_1, NORM_1.replace("name=", "reduction_axes=(0, 1), name=")),
            Edit(NORM_2, NORM_2.replace("name=", "reduction_axes=(0, 1), name=")),
        ),
        stage="attention_added",
        hints=(
            "How many means does your LayerNorm compute for T tokens?",
            "A mean without an axis runs over all axes.",
        ),
    ),
)
