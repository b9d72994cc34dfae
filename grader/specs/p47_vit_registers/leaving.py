"""How registers leave, and what is read and returned: how that goes wrong."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.blocks import NORM_IN_THE_LOOP
from grader.specs.p47_vit_registers.quotes import ENTER, NORM, RESULT, ROW_0, TOKENS

PITFALLS = (
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
            Edit(TOKENS, TOKENS.replace("x[1 : num_patches + 1]", "x[self.num_registers + 1 :]")),
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
            Edit(TOKENS, TOKENS.replace("x[1 : num_patches + 1]", "x[self.num_registers + 1 :]")),
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
    *NORM_IN_THE_LOOP,
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
                'return nn.softmax(nn.Dense(self.num_classes, name="head")(row_0)), patch_tokens',
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
)
