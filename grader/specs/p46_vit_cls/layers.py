"""What goes wrong in the blocks, behind them and in the head."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.blocks import NORM, NORM_IN_THE_LOOP, WHICH_BLOCKS
from grader.specs.p46_vit_cls.quotes import HEAD, ROW_0

PITFALLS = (
    *WHICH_BLOCKS,
    Pitfall(
        id="no-final-norm",
        title="the final LayerNorm is forgotten",
        advice=(
            "In a pre-LN block the LayerNorms stand on the branches, so what leaves the last "
            "block has not been normalised. The head should not see its raw scale."
        ),
        edits=(Edit(NORM, 'checkpoint_name(x, "final_norm")'),),
        check="parameters",
        stage="final_norm",
        hints=(
            "What happens between the last block and the head?",
            "Pre-LN models need one LayerNorm more than the blocks contain.",
        ),
    ),
    *NORM_IN_THE_LOOP,
    Pitfall(
        id="last-row",
        title="the last row is read instead of row 0",
        advice=(
            "The logits come from the CLS token. The last row is the patch at the bottom "
            "right of the image."
        ),
        edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x[-1]")),),
        stage="row_0",
        hints=(
            "Which row of the sequence belongs to the whole image?",
            "Where did you put the CLS token, and where do you read it?",
        ),
    ),
    Pitfall(
        id="feature-0",
        title="feature 0 of all tokens is read, not row 0",
        advice=(
            "x[:, 0] takes row 0 where the first axis is the batch. There is one image here: the "
            "first axis is that of the tokens."
        ),
        edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x[:, 0]")),),
        check="parameters",
        stage="row_0",
        hints=(
            "How long is the vector that your last Dense gets?",
            "Which axes does your sequence have?",
        ),
    ),
    Pitfall(
        id="mean-of-rows",
        title="the mean of all rows is read instead of row 0",
        advice=(
            "Averaging is another way to make one vector of a sequence, and problem 45 is "
            "about it. Here a token was put in for just this purpose; it alone is read."
        ),
        edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x.mean(axis=0)")),),
        stage="row_0",
        hints=(
            "What is the CLS token for, if all rows are averaged?",
            "The head sees a single row of the sequence.",
        ),
    ),
    Pitfall(
        id="mean-of-patches",
        title="the mean of the patches is read and the CLS token thrown away",
        advice=(
            "The CLS token takes part in every block so that it can be read at the end. If "
            "the patches are averaged instead, its last state has no effect at all."
        ),
        edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x[1:].mean(axis=0)")),),
        stage="row_0",
        hints=(
            "Which of the rows does the head see?",
            "Everything that the head needs has been collected in a single token.",
        ),
    ),
    Pitfall(
        id="every-row",
        title="the head is applied to every row",
        advice=(
            "The result is one vector of logits for the image, not one for each token. A row "
            "has to be chosen first."
        ),
        edits=(Edit(f"x = {ROW_0}\n        ", ""),),
        check="shape",
        stage="row_0",
        hints=(
            "Compare the shape of your result with (num_classes,).",
            "Which token stands for the whole image?",
        ),
    ),
    Pitfall(
        id="pre-logits",
        title="a Dense layer with tanh stands before the head",
        advice=(
            "BERT has such a pooler, and the ViT paper used one in pre-training. The model "
            "of this problem has a single Dense between row 0 and the logits."
        ),
        edits=(
            Edit(HEAD, HEAD.replace("(x)", '(nn.tanh(nn.Dense(self.d_model, name="pre")(x)))')),
        ),
        check="parameters",
        hints=(
            "Count the Dense layers behind the final LayerNorm.",
            "The head is linear: there is no activation between row 0 and the logits.",
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
