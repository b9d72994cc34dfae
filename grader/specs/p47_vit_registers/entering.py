"""How registers enter the sequence, and how they go wrong there."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.blocks import BLOCK
from grader.specs.p47_vit_registers.quotes import (
    ADD,
    ENTER,
    ENTERED,
    IF_ANY,
    REGISTERS,
    SHAPE,
    TABLE,
)

PITFALLS = (
    Pitfall(
        id="registers-with-positions",
        title="the registers get positions too",
        advice=(
            "A position says where in the image a token comes from, and a register comes "
            "from nowhere. Here the position table grows with the number of registers."
        ),
        edits=(
            Edit(f"        {TABLE}\n        {ADD}\n", ""),
            Edit(ENTERED, f"{TABLE}\n        {ADD}\n        {ENTERED}"),
        ),
        check="parameters",
        stage="positions",
        hints=(
            "How many rows does your position table have? Does the number depend on R?",
            "Two steps are in the wrong order: the positions and the registers.",
        ),
    ),
    Pitfall(
        id="registers-late",
        title="the registers join only after the first block",
        advice=(
            "Every block is meant to have them, the first one, too: what it writes there the "
            "others can read."
        ),
        edits=(
            Edit(f"            {ENTER}\n", ""),
            Edit(
                BLOCK,
                f"{BLOCK}\n            if i == 0 and {IF_ANY[3:-1]}:\n                {ENTER}",
            ),
        ),
        stage="registers",
        hints=(
            "How many rows does the first block see?",
            "Which comes first in your code, the loop or the registers?",
        ),
    ),
    Pitfall(
        id="registers-unused",
        title="the registers are created, but never join the sequence",
        advice=(
            "The parameter exists, but no block ever sees it, so that it can neither be read "
            "nor be written, and it gets no gradient."
        ),
        edits=(Edit(ENTER, ENTER.replace("x =", "_ =")),),
        stage="registers",
        hints=(
            "How many rows does the sequence have inside the blocks?",
            "Concatenation returns a new array; what becomes of it in your code?",
        ),
    ),
    Pitfall(
        id="registers-as-features",
        title="the registers are concatenated along the features",
        advice=(
            "Registers are further tokens: they make the sequence longer, not the vectors "
            "wider. With R rows against N + 1 the two cannot be joined side by side."
        ),
        edits=(Edit(ENTER, ENTER.replace("axis=0", "axis=1")),),
        check="runs",
        stage="registers",
        hints=(
            "Which axis counts the tokens, which one the features?",
            "The sequence should go from (N + 1, D) to (N + 1 + R, D).",
        ),
    ),
    Pitfall(
        id="one-register",
        title="a single register is repeated R times",
        advice=(
            "Tokens that start equal and have no position stay equal in every block. Copies "
            "of one register hold no more than one; each of the R needs numbers of its own."
        ),
        edits=(
            Edit(SHAPE, "shape = (1, self.d_model)"),
            Edit(
                REGISTERS,
                f"{REGISTERS}\n            "
                "registers = jnp.repeat(registers, self.num_registers, axis=0)",
            ),
        ),
        check="parameters",
        stage="registers",
        hints=(
            "How many numbers do your registers have to learn? Does it depend on R?",
            "Look at the shape of the parameter, not at the shape of what joins the sequence.",
        ),
    ),
    Pitfall(
        id="cls-counted",
        title="the CLS token is counted as one of the registers",
        advice=(
            "R counts the registers alone; the CLS token stands beside them. Your sequence "
            "is one row short."
        ),
        edits=(Edit(SHAPE, "shape = (self.num_registers - 1, self.d_model)"),),
        check="parameters",
        stage="registers",
        hints=(
            "Count the rows of the sequence inside the blocks: patches, CLS, registers.",
            "With R = 2 and N = 6 there are nine rows.",
        ),
    ),
    Pitfall(
        id="never-zero",
        title="there is a register even when R = 0",
        advice=(
            "With num_registers = 0 this is the model of problem 46, with just as many "
            "parameters. Yours creates and uses a register that nobody asked for."
        ),
        edits=(
            Edit(IF_ANY, "if True:"),
            Edit(SHAPE, "shape = (max(self.num_registers, 1), self.d_model)"),
        ),
        check="parameters",
        stage="registers",
        hints=(
            "Try num_registers = 0 and count the rows.",
            "A parameter of shape (0, D) is fine, and so is no parameter at all.",
        ),
    ),
    Pitfall(
        id="registers-per-block",
        title="every block has registers of its own",
        advice=(
            "Registers are a memory that is handed from block to block. Fresh learned tokens "
            "for each layer are something else, known as deep prompts."
        ),
        edits=(
            Edit(
                BLOCK,
                f"if i > 0 and {IF_ANY[3:-1]}:\n"
                "                fresh = self.param(\n"
                '                    f"registers_{i}", nn.initializers.normal(0.02), shape\n'
                "                )\n"
                "                x = jnp.concatenate([x[: num_patches + 1], fresh], axis=0)\n"
                f"            {BLOCK}",
            ),
        ),
        check="parameters",
        stage="attention_added",
        hints=(
            "Does the number of your registers grow with num_layers?",
            "The registers join the sequence once, before the first block.",
        ),
    ),
    Pitfall(
        id="registers-reset",
        title="every block starts from the initial registers again",
        advice=(
            "What a block has written into the registers is meant for the next one. If they "
            "are put back to their learned values each time, the notes are lost."
        ),
        edits=(
            Edit(
                BLOCK,
                f"if i > 0 and {IF_ANY[3:-1]}:\n"
                "                x = jnp.concatenate([x[: num_patches + 1], registers])\n"
                f"            {BLOCK}",
            ),
        ),
        stage="attention_added",
        hints=(
            "With a single block your model is right. What changes with the second?",
            "Which of your lines about registers stand inside the loop?",
        ),
    ),
    Pitfall(
        id="positions-not-for-cls",
        title="the position table has no row for the CLS token",
        advice=(
            "Only the registers go without a position. The CLS token has one, as in problem "
            "46, so that the table has N + 1 rows."
        ),
        edits=(
            Edit(TABLE, TABLE.replace("x.shape", "(num_patches, self.d_model)")),
            Edit(ADD, ADD.replace("x + positions", "x.at[1:].add(positions)")),
        ),
        check="parameters",
        stage="positions",
        hints=(
            "Which tokens have no position: CLS, the registers, or both?",
            "How long is the sequence at the moment when the positions are added?",
        ),
    ),
)
