"""What goes wrong with heads and projections."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p40_self_attention.quotes import (
    CUT_WITHOUT_MOVING,
    HEADS,
    KEY,
    MIX,
    OUT,
    QUERY,
    SCORES,
    VALUE,
)

PITFALLS = (
    Pitfall(
        id="one-head",
        title="there is a single head of width D",
        advice=(
            "The parameters have the same number for any number of heads, so nothing "
            "complains. But one head forms only one pattern of attention."
        ),
        edits=(
            Edit("head_dim = d_model // self.num_heads", "head_dim = d_model"),
            Edit(HEADS, HEADS.replace("self.num_heads", "1")),
        ),
        stage="scores",
        hints=(
            "Does your result change when num_heads changes?",
            "How many (T, T) tables of weights do you compute?",
        ),
    ),
    Pitfall(
        id="heads-as-size",
        title="num_heads is taken for the size of a head",
        advice=(
            "num_heads counts the heads; each of them has D / num_heads channels. "
            "Exchanged, all shapes still fit, and grouping and scale are wrong."
        ),
        edits=(
            Edit(HEADS, "heads = (head_dim, self.num_heads)"),
            Edit(SCORES, SCORES.replace("head_dim", "self.num_heads")),
        ),
        stage="scores",
        hints=(
            "For D = 12 and num_heads = 3, how many channels does a head have?",
            "When D is split in two axes, which of them counts the heads?",
        ),
    ),
    Pitfall(
        id="heads-cut-by-reshape",
        title="the heads are cut out by a reshape to (heads, T, d) without a transposition",
        advice=(
            "A reshape does not move numbers. Reading (T, D) as (heads, T, d) gives the first "
            "head the first few tokens whole, not a share of every token."
        ),
        edits=(
            Edit(QUERY, f"{QUERY}{CUT_WITHOUT_MOVING}"),
            Edit(KEY, f"{KEY}{CUT_WITHOUT_MOVING}"),
            Edit(VALUE, f"{VALUE}{CUT_WITHOUT_MOVING}"),
        ),
        stage="scores",
        hints=(
            "Number the entries of a (2, 4) array and look at where they end up.",
            "Only D may be split by a reshape. To move the head axis takes another step.",
        ),
    ),
    Pitfall(
        id="heads-joined-by-reshape",
        title="the heads are joined by a reshape without a transposition",
        advice=(
            "With the head axis in front, the channels of one token are not neighbours. "
            "A reshape to (T, D) then puts channels of different tokens into one row."
        ),
        edits=(Edit(MIX, 'jnp.einsum("hqk,khd->hqd", weights, value).reshape(value.shape)'),),
        stage="mixed",
        hints=(
            "Which axis is in front when you join the heads?",
            "Heads and channels have to be neighbours before they may be merged.",
        ),
    ),
    Pitfall(
        id="attention-among-heads",
        title="the heads of a token attend to each other; the tokens do not",
        advice=(
            "In a (T, heads, d) array the last two axes are heads and channels, and a matrix "
            "product over these compares heads. No token learns anything of another."
        ),
        edits=(
            Edit(SCORES, SCORES.replace("qhd,khd->hqk", "thd,tgd->thg")),
            Edit(MIX, MIX.replace("hqk,khd->qhd", "thg,tgd->thd")),
        ),
        stage="scores",
        hints=(
            "Which shape do your scores have: (heads, T, T)?",
            "Change one token of the input: do the other outputs change?",
        ),
    ),
    Pitfall(
        id="heads-averaged",
        title="the heads are averaged instead of joined",
        advice=(
            "Each head contributes channels of its own, and the output projection reads all "
            "of them. An average throws away what distinguishes the heads."
        ),
        edits=(Edit(OUT, 'nn.DenseGeneral(d_model, axis=-1, name="out")(mixed.mean(axis=1))'),),
        check="parameters",
        hints=(
            "How many numbers of a token does your output projection read?",
            "All channels of all heads stand side by side before the last projection.",
        ),
    ),
    Pitfall(
        id="keys-from-queries",
        title="the queries are compared with themselves",
        advice=(
            "With the same vectors on both sides the table of scores is symmetric: what one "
            "token thinks of another is then always mutual. The keys are never used."
        ),
        edits=(Edit(SCORES, SCORES.replace("query, key", "query, query")),),
        stage="scores",
        hints=(
            "Which of your three projections have an effect on the result?",
            "Look at the two operands of the first product.",
        ),
    ),
    Pitfall(
        id="values-from-keys",
        title="the keys are averaged in place of the values",
        advice=(
            "What makes a token found and what it has to say are two things, which is why "
            "keys and values are projected separately. Here the values are never used."
        ),
        edits=(Edit(MIX, MIX.replace("value", "key")),),
        stage="mixed",
        hints=(
            "Which of your three projections have an effect on the result?",
            "Look at the two operands of the second product.",
        ),
    ),
    Pitfall(
        id="values-not-projected",
        title="the tokens themselves are averaged, without a value projection",
        advice=(
            "The values are a linear map of the tokens, like queries and keys. Without it "
            "every head is confined to a fixed slice of the channels."
        ),
        edits=(Edit(VALUE, "x.reshape(-1, *heads)"),),
        check="parameters",
        stage="mixed",
        hints=(
            "Count the projections: there are three before the softmax.",
            "D · D + D parameters are missing.",
        ),
    ),
    Pitfall(
        id="no-output-projection",
        title="the output projection is missing",
        advice=(
            "Joined heads stand side by side and do not interact. The last linear layer "
            "lets each output channel draw on all of them."
        ),
        edits=(Edit(OUT, "mixed.reshape(x.shape)"),),
        check="parameters",
        hints=(
            "Count the projections: there are four.",
            "What happens after the heads have been joined?",
        ),
    ),
    Pitfall(
        id="attention-no-bias",
        title="queries, keys and values have no bias",
        advice=(
            "All four projections have a bias. Some implementations leave out those of "
            "queries, keys and values; the ViT keeps them."
        ),
        edits=(
            Edit(QUERY, QUERY.replace("name=", "use_bias=False, name=")),
            Edit(KEY, KEY.replace("name=", "use_bias=False, name=")),
            Edit(VALUE, VALUE.replace("name=", "use_bias=False, name=")),
        ),
        check="parameters",
        stage="scores",
        hints=(
            "Three vectors of D parameters are missing.",
            "Look at the options with which you create the projections.",
        ),
    ),
    Pitfall(
        id="skip-added",
        title="the input is added to the result",
        advice=(
            "The skip connection belongs to the encoder block, which comes next. Here only "
            "what the attention has to say is asked for."
        ),
        edits=(Edit(OUT, f"x + {OUT}"),),
        hints=(
            "What should the result be if all output weights were 0?",
            "Which part of your function belongs to problem 41?",
        ),
    ),
    Pitfall(
        id="seed-ignored",
        title="the parameters do not depend on the seed",
        advice=(
            "Two seeds should give two different layers. With a fixed key the initial weights "
            "are always the same, and runs that should be independent are copies."
        ),
        edits=(Edit("init(jax.random.key(seed)", "init(jax.random.key(0)"),),
        check="seed",
        hints=(
            "Where does the random key of your init come from?",
            "Call your function with two seeds and compare the results.",
        ),
    ),
)
