"""Problem 41: the pre-LN encoder block."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall, Problem, Stage, Variant
from grader.specs.claims import EQUIVARIANT
from grader.specs.shapes import (
    BLOCK_FIELDS,
    TOKEN_CORNERS,
    TOKEN_FIELDS,
    block_symbols,
    block_tells,
    derive_width,
    tokens,
)

NORM_1 = 'y = nn.LayerNorm(name="norm_1")(x)'
ATTEND = 'y = SelfAttention(self.num_heads, name="attention")(y)'
TWO_INPUTS = 'nn.MultiHeadDotProductAttention(self.num_heads, name="attention")'
ADD_1 = 'x = checkpoint_name(x + y, "attention_added")'
NORM_2 = 'y = nn.LayerNorm(name="norm_2")(x)'
MLP_IN = 'y = nn.Dense(self.d_ff, name="mlp_in")(y)'
GELU = "y = nn.gelu(y)"
MLP_OUT = 'y = nn.Dense(x.shape[-1], name="mlp_out")(y)'
ADD_2 = 'checkpoint_name(x + y, "mlp_added")'
LINE = "\n        "

PROBLEM = Problem(
    number=41,
    slug="encoder_block",
    title="Pre-LN encoder block",
    teaches="the block that every ViT repeats: attention and MLP, each with LayerNorm and skip",
    contracts=(
        Contract(
            function="encoder_block_forward",
            arguments=("seed", "x", "num_heads", "d_ff"),
            outputs=("tokens",),
            arrays=lambda sizes: {"x": tokens(sizes)},
            properties=(EQUIVARIANT,),
        ),
    ),
    fields={**TOKEN_FIELDS, **BLOCK_FIELDS, "scale": (1.0, 0.002)},
    derive=derive_width,
    tells=block_tells,
    corners=TOKEN_CORNERS,
    symbols=block_symbols,
    blocks=(40,),
    parameters={
        "norm_1": "LayerNorm before the attention",
        "attention/query": "query projection",
        "attention/key": "key projection",
        "attention/value": "value projection",
        "attention/out": "output projection of the attention",
        "norm_2": "LayerNorm before the MLP",
        "mlp_in": "first Dense of the MLP",
        "mlp_out": "second Dense of the MLP",
    },
    stages=(
        Stage("attention_added", "+attention", rows=True),
        Stage("mlp_added", "+MLP", rows=True),
    ),
    pitfalls=(
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
        Pitfall(
            id="no-skip-attention",
            title="the skip connection around the attention is missing",
            advice=(
                "The attention only adds to the tokens. Without the sum a token is replaced by "
                "an average over the sequence and forgets what it was."
            ),
            edits=(Edit(ADD_1, ADD_1.replace("x + y", "y")),),
            stage="attention_added",
            hints=(
                "If the attention answered 0, what should come out of the first half?",
                "Each of the two branches ends in a sum.",
            ),
        ),
        Pitfall(
            id="no-skip-mlp",
            title="the skip connection around the MLP is missing",
            advice=(
                "The MLP only adds to the tokens. Without the sum the direct line from the input "
                "to the output is cut, and deep stacks stop training."
            ),
            edits=(Edit(ADD_2, ADD_2.replace("x + y", "y")),),
            stage="mlp_added",
            hints=(
                "If the MLP answered 0, what should come out of the block?",
                "Each of the two branches ends in a sum.",
            ),
        ),
        Pitfall(
            id="skip-normalised-attention",
            title="the skip around the attention starts behind the LayerNorm",
            advice=(
                "The sum wants the tokens as they came in. If the variable was overwritten by "
                "the LayerNorm, the normalised tokens are added instead."
            ),
            edits=(Edit(NORM_1, f"x = {NORM_1}"),),
            stage="attention_added",
            hints=(
                "Which value do you add to the answer of the attention?",
                "After the LayerNorm you still need what was there before it.",
            ),
        ),
        Pitfall(
            id="skip-normalised-mlp",
            title="the skip around the MLP starts behind the LayerNorm",
            advice=(
                "The sum wants the tokens as they came out of the first half. If the variable was "
                "overwritten by the LayerNorm, the normalised tokens are added instead."
            ),
            edits=(Edit(NORM_2, f"x = {NORM_2}"),),
            stage="mlp_added",
            hints=(
                "Which value do you add to the answer of the MLP?",
                "After the LayerNorm you still need what was there before it.",
            ),
        ),
        Pitfall(
            id="skip-from-input",
            title="the second skip starts at the input of the block",
            advice=(
                "The second sum continues from the first one. Starting again from the input "
                "drops everything that the attention has added."
            ),
            edits=(
                Edit(ADD_1, ADD_1.replace("x = ", "attended = ")),
                Edit(NORM_2, NORM_2.replace("(x)", "(attended)")),
            ),
            stage="mlp_added",
            hints=(
                "If the MLP answered 0, would the output still contain the attention's part?",
                "Which tokens does the second sum start from?",
            ),
        ),
        Pitfall(
            id="parallel",
            title="attention and MLP run side by side on the same input",
            advice=(
                "Some large language models do that to save time. Here the MLP comes second: it "
                "reads the tokens to which the attention has already been added."
            ),
            edits=(
                Edit(ADD_1, ADD_1.replace("x = ", "attended = ")),
                Edit(ADD_2, ADD_2.replace("x + y", "attended + y")),
            ),
            stage="mlp_added",
            hints=(
                "Which tokens does your second LayerNorm see?",
                "The second formula uses the x that the first one has produced.",
            ),
        ),
        Pitfall(
            id="mlp-first",
            title="the MLP comes before the attention",
            advice=(
                "The block attends first and then works on each token by itself. Exchanged, the "
                "first layer works on tokens that know nothing of each other yet."
            ),
            edits=(
                Edit(
                    LINE.join((ATTEND, ADD_1, NORM_2, MLP_IN, GELU, MLP_OUT)),
                    LINE.join((MLP_IN, GELU, MLP_OUT, ADD_1, NORM_2, ATTEND)),
                ),
            ),
            stage="attention_added",
            hints=(
                "Read the two formulas from top to bottom once more.",
                "Which of the two branches comes first?",
            ),
        ),
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
    ),
    variants=(
        Variant(
            id="exact-gelu",
            remark="the exact (erf) GELU; here it is the tanh form, Flax's default",
            edits=(Edit(GELU, "y = nn.gelu(y, approximate=False)"),),
        ),
        *(
            Variant(
                id=f"epsilon-{which}",
                remark=(
                    f"the {which} LayerNorm of the block has epsilon 1e-5; here it is 1e-6, "
                    "Flax's default"
                ),
                edits=(Edit(norm, norm.replace("name=", "epsilon=1e-5, name=")),),
            )
            for which, norm in (("first", NORM_1), ("second", NORM_2))
        ),
    ),
    hints=(
        "Write the two formulas down and put a name to every intermediate value.",
        (
            "The block has two halves that are built alike: normalise, compute, add. Compare the "
            "value between the halves first."
        ),
        (
            "Each half adds to the tokens that came into it; what is added was computed from the "
            "normalised tokens. Attention comes first, then Dense, GELU, Dense."
        ),
    ),
)
