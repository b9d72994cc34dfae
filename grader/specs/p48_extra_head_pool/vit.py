"""``vit_extra_head_forward``: how it is called, and what goes wrong in it."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall
from grader.specs.shapes import image

WIDTH = "width = self.output_dim + self.num_heads"
TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'x = checkpoint_name(x + positions, "positions")'
END = "return extra_head_pool(x, self.num_heads)"

CONTRACT = Contract(
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
)

PITFALLS = (
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
)
