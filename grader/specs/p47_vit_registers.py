"""Problem 47: a Vision Transformer with registers."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall, Problem, Sizes, Stage, Variant
from grader.specs.shapes import (
    VIT_CORNERS,
    VIT_FIELDS,
    derive_width,
    image,
    patches,
    tells_apart,
    vit_symbols,
    vit_tells,
)

PATCHES = 'x = PatchEmbed(self.patch_size, self.d_model, name="patch_embed")(image)'
JOIN = 'checkpoint_name(jnp.concatenate([cls, x], axis=0), "cls")'
TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'x = checkpoint_name(x + positions, "positions")'
IF_ANY = "if self.num_registers > 0:"
SHAPE = "shape = (self.num_registers, self.d_model)"
REGISTERS = 'registers = self.param("registers", nn.initializers.normal(0.02), shape)'
ENTER = "x = jnp.concatenate([x, registers], axis=0)"
ENTERED = 'x = checkpoint_name(x, "registers")'
BLOCK = 'x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)'
NORM = 'x = checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")'
ROW_0 = 'checkpoint_name(x[0], "row_0")'
TOKENS = 'checkpoint_name(x[1 : num_patches + 1], "patch_tokens")'
RESULT = 'return nn.Dense(self.num_classes, name="head")(row_0), patch_tokens'


def _tells(sizes: Sizes) -> bool:
    """Whether R registers cannot be mistaken for patches or features."""
    n, r = patches(sizes), sizes["num_registers"]
    others = (sizes["d_model"], sizes["d_ff"], sizes["num_classes"])
    return vit_tells(sizes) and tells_apart(n, n + 1, r) and tells_apart(n + 1 + r, *others)


def _symbols(sizes: Sizes) -> dict[str, int]:
    n, r = patches(sizes), sizes["num_registers"]
    registers = {"R": r, "N + R": n + r, "N + 1 + R": n + 1 + r} if r else {}
    return {**vit_symbols(sizes), **registers}


PROBLEM = Problem(
    number=47,
    slug="vit_registers",
    title="Vision Transformer with registers",
    teaches="tokens that stand for nothing: how they enter, where they count, how they leave",
    contracts=(
        Contract(
            function="vit_registers_forward",
            arguments=(
                "seed",
                "image",
                "patch_size",
                "d_model",
                "num_heads",
                "d_ff",
                "num_layers",
                "num_registers",
                "num_classes",
            ),
            outputs=("logits", "patch_tokens"),
            arrays=lambda sizes: {"image": image(sizes)},
        ),
    ),
    fields={**VIT_FIELDS, "num_registers": (0, 2, 3, 4)},
    derive=derive_width,
    tells=_tells,
    corners=tuple(
        {**corner, "num_registers": r} for corner, r in zip(VIT_CORNERS, (1, 5, 2), strict=True)
    ),
    symbols=_symbols,
    blocks=(38, 41),
    parameters={
        "patch_embed": "patch projection",
        "cls": "CLS token",
        "positions": "position table",
        "registers": "registers",
        "block_": "encoder block",
        "final_norm": "final LayerNorm",
        "head": "classification head",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("cls", "+CLS", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("registers", "+registers", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("row_0", "row of the CLS token"),
        Stage("patch_tokens", "patch tokens"),
    ),
    pitfalls=(
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
            id="registers-first",
            title="the registers stand in front, but row 0 is still read as CLS",
            advice=(
                "Registers may stand anywhere, and in front of everything is fine. Then, "
                "however, CLS and the patches have moved back by R rows, and what you cut out "
                "are registers."
            ),
            edits=(Edit(ENTER, ENTER.replace("[x, registers]", "[registers, x]")),),
            stage="row_0",
            hints=(
                "Write down what each row of the sequence holds, from 0 to N + R.",
                "In which row does the CLS token stand once the registers are there?",
            ),
        ),
        Pitfall(
            id="row-0-is-a-register",
            title="the patches are cut out behind the registers, but row 0, a register, is read",
            advice=(
                "Registers may stand in front, and your patches are the right rows. The CLS token, "
                "however, has moved back with them: it stands in row R."
            ),
            edits=(
                Edit(ENTER, ENTER.replace("[x, registers]", "[registers, x]")),
                Edit(
                    TOKENS, TOKENS.replace("x[1 : num_patches + 1]", "x[self.num_registers + 1 :]")
                ),
            ),
            stage="row_0",
            hints=(
                "Your patch tokens are right. In which row does the CLS token stand?",
                "Write down what each row of the sequence holds, from 0 to N + R.",
            ),
        ),
        Pitfall(
            id="patches-after-cls",
            title="registers stand behind CLS, but the patches are read from row 1 on",
            advice=(
                "With the registers between CLS and the patches, row 1 is a register. The N rows "
                "that you return begin with registers, and the last patches are missing."
            ),
            edits=(Edit(ENTER, ENTER.replace("[x, registers]", "[x[:1], registers, x[1:]]")),),
            stage="patch_tokens",
            hints=(
                "Your logits are right. Which rows make up the patch tokens?",
                "How many rows stand in front of the first patch?",
            ),
        ),
        Pitfall(
            id="patches-after-registers",
            title="registers stand at the end, but R rows are skipped at the front",
            advice=(
                "The rows that you return begin R patches too late and run on into the registers. "
                "Skip registers where you have put them."
            ),
            edits=(
                Edit(
                    TOKENS, TOKENS.replace("x[1 : num_patches + 1]", "x[self.num_registers + 1 :]")
                ),
            ),
            stage="patch_tokens",
            hints=(
                "Your logits are right. Which rows make up the patch tokens?",
                "Which tokens did you put last, and which rows do you drop?",
            ),
        ),
        Pitfall(
            id="registers-kept",
            title="the registers are returned among the patch tokens",
            advice=(
                "Registers are scratch paper: they are thrown away. Only the N rows that belong "
                "to patches are returned."
            ),
            edits=(Edit(TOKENS, TOKENS.replace("1 : num_patches + 1", "1:")),),
            check="shape",
            stage="patch_tokens",
            hints=(
                "How many rows do your patch tokens have, and how many patches are there?",
                "Everything but CLS is not the same as every patch.",
            ),
        ),
        Pitfall(
            id="cls-kept",
            title="the CLS token is returned among the patch tokens",
            advice=(
                "The CLS token belongs to no patch. It is read for the logits and is not part of "
                "the patch tokens."
            ),
            edits=(Edit(TOKENS, TOKENS.replace("1 : num_patches + 1", ": num_patches + 1")),),
            check="shape",
            stage="patch_tokens",
            hints=(
                "Your patch tokens have one row too many. Which one?",
                "Row k of the patch tokens should be patch k.",
            ),
        ),
        Pitfall(
            id="patches-unnormalised",
            title="the patch tokens are taken before the final LayerNorm",
            advice=(
                "The final LayerNorm is for all tokens, not only for the one that is "
                "classified. Without it the patch tokens have whatever scale the blocks left."
            ),
            edits=(
                Edit(NORM, f"raw = x\n        {NORM}"),
                Edit(TOKENS, TOKENS.replace("x[", "raw[")),
            ),
            stage="patch_tokens",
            hints=(
                "Your logits are right. What happens to CLS that does not happen to the patches?",
                "Which step comes between the last block and the results?",
            ),
        ),
        Pitfall(
            id="cls-unnormalised",
            title="only the patch tokens are normalised, CLS is not",
            advice=(
                "Both results come from normalised rows. Here the head sees the CLS token as the "
                "last block left it."
            ),
            edits=(
                Edit(NORM, f"raw = x\n        {NORM}"),
                Edit(ROW_0, ROW_0.replace("x[", "raw[")),
            ),
            stage="row_0",
            hints=(
                "Your patch tokens are right. What happens to them that does not happen to CLS?",
                "Pre-LN blocks do not normalise what they put out.",
            ),
        ),
        Pitfall(
            id="two-norms",
            title="CLS and the patch tokens have a final LayerNorm each",
            advice=(
                "There is a single final LayerNorm with one scale and one bias, and all tokens "
                "go through it. Two of them have twice the parameters."
            ),
            edits=(
                Edit(NORM, f"raw = x\n        {NORM}"),
                Edit(ROW_0, ROW_0.replace("x[0]", 'nn.LayerNorm(name="cls_norm")(raw[0])')),
            ),
            check="parameters",
            stage="row_0",
            hints=(
                "How many LayerNorms follow the last block?",
                "2 * D parameters too many: which module has that size?",
            ),
        ),
        Pitfall(
            id="no-final-norm",
            title="the final LayerNorm is forgotten",
            advice=(
                "The LayerNorms of a pre-LN block stand on its branches, so what leaves the last "
                "block has not been normalised. Neither result should have that raw scale."
            ),
            edits=(Edit(f"{NORM}\n        ", ""),),
            check="parameters",
            stage="final_norm",
            hints=(
                "What happens between the last block and the two results?",
                "Pre-LN models need one LayerNorm more than the blocks contain.",
            ),
        ),
        Pitfall(
            id="mean-of-patches",
            title="the logits come from the mean of the patch tokens",
            advice=(
                "The patch tokens are the second result. The first one, the logits, comes from "
                "the CLS token alone, as in problem 46."
            ),
            edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x[1 : num_patches + 1].mean(axis=0)")),),
            stage="row_0",
            hints=(
                "Which token was put in to be classified?",
                "The head sees one row of the sequence; no average is taken.",
            ),
        ),
        Pitfall(
            id="mean-of-rows",
            title="the logits come from the mean of all rows, registers included",
            advice=(
                "The registers are not meant to be read, and averaging is problem 45. Here the "
                "CLS token stands for the image."
            ),
            edits=(Edit(ROW_0, ROW_0.replace("x[0]", "x.mean(axis=0)")),),
            stage="row_0",
            hints=(
                "Which rows have an influence on your head?",
                "The head sees one row of the sequence; no average is taken.",
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
        Pitfall(
            id="swapped",
            title="the two results are returned in the wrong order",
            advice="The contract asks for the logits first, then for the patch tokens.",
            edits=(
                Edit(
                    RESULT,
                    'return patch_tokens, nn.Dense(self.num_classes, name="head")(row_0)',
                ),
            ),
            check="shape",
            hints=(
                "Look at the shapes of the two results, one after the other.",
                "Compare the return line with the contract.",
            ),
        ),
        Pitfall(
            id="probabilities",
            title="a softmax is applied to the logits",
            advice=(
                "The contract asks for logits. A cross-entropy loss applies the softmax itself; "
                "a second one flattens the gradients and slows the training down."
            ),
            edits=(
                Edit(
                    RESULT,
                    'return nn.softmax(nn.Dense(self.num_classes, name="head")(row_0)), '
                    "patch_tokens",
                ),
            ),
            hints=(
                "Do your outputs add up to 1? Logits need not.",
                "Look at what you do after the last Dense.",
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
    ),
    variants=(
        Variant(
            id="final-epsilon",
            remark="the final LayerNorm has epsilon 1e-5; here it is 1e-6, Flax's default",
            edits=(
                Edit('nn.LayerNorm(name="final_norm")', 'nn.LayerNorm(1e-5, name="final_norm")'),
            ),
        ),
    ),
    hints=(
        (
            "Write a table of the rows in the sequence: which token is in which row, before and "
            "after the registers join. Everything else is problem 46."
        ),
        (
            "Check the three moments one by one: the registers enter after the positions, live "
            "through all blocks, and leave after the final LayerNorm. Then try R = 0."
        ),
        (
            "The sequence has N + 1 rows while positions are added and N + 1 + R in the blocks. At "
            "the end one row goes to the head and N rows are returned, all of them normalised."
        ),
    ),
)
