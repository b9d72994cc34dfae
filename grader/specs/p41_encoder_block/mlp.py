"""What goes wrong inside the branches."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p41_encoder_block.quotes import ATTEND, GELU, LINE, MLP_IN, MLP_OUT, TWO_INPUTS

PITFALLS = (
    Pitfall(
        id="relu",
        title="ReLU in place of GELU",
        advice=(
            "The original Transformer has a ReLU, the ViT a GELU. They are close for large "
            "values and differ around zero, where a GELU lets a little through."
        ),
        edits=(Edit(GELU, "y = nn.relu(y)"),),
        stage="mlp_added",
        hints=(
            "Which activation does the text ask for?",
            "What does your activation make of -1?",
        ),
    ),
    Pitfall(
        id="quick-gelu",
        title="the sigmoid approximation of GELU",
        advice=(
            "CLIP approximates GELU by x · sigmoid(1.702 x). That is off by up to 0.02; the "
            "tanh form, which is asked for here, is far closer."
        ),
        edits=(Edit(GELU, "y = y * nn.sigmoid(1.702 * y)"),),
        stage="mlp_added",
        hints=(
            "There are three formulas for GELU. Which one do you use?",
            "Flax brings the form that is wanted.",
        ),
    ),
    Pitfall(
        id="silu",
        title="the MLP uses SiLU instead of GELU",
        advice=(
            "x · sigmoid(x) looks much like GELU and is off by up to a fifth. Language models of "
            "today use it; ViT uses GELU."
        ),
        edits=(Edit(GELU, "y = nn.silu(y)"),),
        stage="mlp_added",
        hints=(
            "What becomes of -1 in your activation?",
            "swish is another name for it.",
        ),
    ),
    Pitfall(
        id="no-activation",
        title="the MLP has no activation",
        advice=(
            "Two Denses in a row are one linear map. The activation between them is what "
            "makes an MLP of them."
        ),
        edits=(Edit(f"{LINE}{GELU}", ""),),
        stage="mlp_added",
        hints=(
            "What stands between the two Denses?",
            "Without a nonlinearity the first of them is superfluous.",
        ),
    ),
    Pitfall(
        id="gelu-twice",
        title="an activation follows the second Dense too",
        advice=(
            "What a branch adds to the tokens must be able to be negative. An activation "
            "at the end lets it only push upwards."
        ),
        edits=(Edit(MLP_OUT, f"{MLP_OUT}{LINE}y = nn.gelu(y)"),),
        stage="mlp_added",
        hints=(
            "How many activations does the MLP have?",
            "The last step of the MLP is linear.",
        ),
    ),
    Pitfall(
        id="four-times-wide",
        title="the MLP is 4 · D wide, whatever d_ff says",
        advice=(
            "Four times the width is what most models use, so it is easily written down as "
            "if it were fixed. The contract passes the width as an argument."
        ),
        edits=(Edit(MLP_IN, MLP_IN.replace("self.d_ff", "4 * x.shape[-1]")),),
        check="parameters",
        stage="mlp_added",
        hints=(
            "Does your MLP change when d_ff changes?",
            "Which of the arguments of the contract did you not use?",
        ),
    ),
    Pitfall(
        id="mlp-no-bias",
        title="the Denses of the MLP have no bias",
        advice=(
            "Every projection of the block has a bias. Some language models leave the biases "
            "out; the ViT keeps them."
        ),
        edits=(
            Edit(MLP_IN, MLP_IN.replace("name=", "use_bias=False, name=")),
            Edit(MLP_OUT, MLP_OUT.replace("name=", "use_bias=False, name=")),
        ),
        check="parameters",
        stage="mlp_added",
        hints=(
            "d_ff + D parameters are missing.",
            "Look at the options with which you create the two Denses.",
        ),
    ),
    Pitfall(
        id="keys-not-normalised",
        title="keys and values come from the tokens before the LayerNorm",
        advice=(
            "In self-attention queries, keys and values are three views of the same tokens, "
            "and these are the normalised ones."
        ),
        edits=(Edit(ATTEND, f"y = {TWO_INPUTS}(y, x)"),),
        stage="attention_added",
        hints=(
            "From which variable does each of the three projections read?",
            "The whole branch stands behind the LayerNorm.",
        ),
    ),
    Pitfall(
        id="each-alone",
        title="every token attends to itself alone",
        advice=(
            "The new axis stands in the wrong place: the attention sees a batch of T "
            "sequences with one token each. The softmax over a single score is always 1."
        ),
        edits=(Edit(ATTEND, f"y = {TWO_INPUTS}(y[:, None], y[:, None])[:, 0]"),),
        stage="attention_added",
        hints=(
            "Change one token of the input: do the other outputs change?",
            "Which axis does your attention take for the sequence?",
        ),
    ),
    Pitfall(
        id="seed-ignored",
        title="the parameters do not depend on the seed",
        advice=(
            "Two seeds should give two blocks. With a fixed key the initial weights are "
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
