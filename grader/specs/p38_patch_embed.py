"""Problem 38: patch embedding."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall, Problem, Stage
from grader.specs.shapes import IMAGE_FIELDS, image, patch_symbols, patches_tell

KERNEL = "patch = (self.patch_size, self.patch_size)"
PROJECT = 'nn.Conv(self.d_model, patch, strides=patch, padding="VALID", name="projection")'
APPLY = "grid = project(image)"
FLATTEN = "grid.reshape(-1, self.d_model)"

PROBLEM = Problem(
    number=38,
    slug="patch_embed",
    title="Patch embedding",
    teaches="an image as a sequence: one linear map for every patch, read row by row",
    contracts=(
        Contract(
            function="patch_embed_forward",
            arguments=("seed", "image", "patch_size", "d_model"),
            outputs=("tokens",),
            arrays=lambda sizes: {"image": image(sizes)},
        ),
    ),
    fields={**IMAGE_FIELDS, "d_model": range(5, 17)},
    derive=dict,
    tells=patches_tell,
    corners=(
        {"grid_h": 3, "grid_w": 3, "patch_size": 1, "channels": 3, "d_model": 7},
        {"grid_h": 1, "grid_w": 18, "patch_size": 2, "channels": 1, "d_model": 6, "scale": 1e6},
        {"grid_h": 6, "grid_w": 6, "patch_size": 4, "channels": 3, "d_model": 48},
        {"grid_h": 18, "grid_w": 1, "patch_size": 3, "channels": 2, "d_model": 40},
        {"grid_h": 1, "grid_w": 1, "patch_size": 5, "channels": 5, "d_model": 1},
    ),
    symbols=patch_symbols,
    parameters={"projection": "patch projection"},
    stages=(Stage("patches", "patches"),),
    pitfalls=(
        Pitfall(
            id="column-order",
            title="the patches are read column by column",
            advice=(
                "The sequence follows the image like text: along the top row first. With the two "
                "grid axes exchanged, every patch is right and stands in the wrong place."
            ),
            edits=(Edit(FLATTEN, "grid.transpose(1, 0, 2).reshape(-1, self.d_model)"),),
            stage="patches",
            hints=(
                "Which patch should follow the top left one?",
                "When the grid is flattened, which of its two axes runs faster?",
            ),
        ),
        Pitfall(
            id="raw-reshape",
            title="the image is cut by a reshape alone, so the patches are no squares",
            advice=(
                "A reshape keeps the order of the numbers in memory, and there the pixels of a "
                "square are not neighbours: a row of the image lies between two rows of a patch."
            ),
            edits=(
                Edit(PROJECT, 'nn.Dense(self.d_model, name="projection")'),
                Edit(
                    APPLY,
                    "grid = project(image.reshape(-1, patch[0] * patch[1] * image.shape[-1]))",
                ),
            ),
            stage="patches",
            hints=(
                "Number the pixels of a small image and look at which of them share a patch.",
                "Between the reshape to blocks and the flattening, two axes have to change places.",
            ),
        ),
        Pitfall(
            id="channels-scrambled",
            title="the channel axis is moved by a reshape, which mixes the patches",
            advice=(
                "Reading the numbers in the shape (D, N) and then transposing puts values of "
                "different patches into one token. The shape is right; the contents are not."
            ),
            edits=(Edit(FLATTEN, "grid.reshape(self.d_model, -1).T"),),
            stage="patches",
            hints=(
                "Does every token depend on the pixels of one patch only?",
                "A reshape is not a transposition. Which axes may be merged as they stand?",
            ),
        ),
        Pitfall(
            id="stride-one",
            title="the patches overlap: the window moves on by one pixel",
            advice=(
                "Each pixel belongs to exactly one patch, so the window moves on by its own size. "
                "With steps of one pixel there are far more tokens than patches."
            ),
            edits=(Edit(PROJECT, PROJECT.replace("strides=patch", "strides=(1, 1)")),),
            check="shape",
            stage="patches",
            hints=(
                "Compare the number of your tokens with (H / P) · (W / P).",
                "How far does a convolution move between two outputs if nobody says so?",
            ),
        ),
        Pitfall(
            id="grid-kept",
            title="the grid of patches is not flattened to a sequence",
            advice=(
                "A Transformer has a single axis of tokens. The result has a row axis and a "
                "column axis, which the contract wants as one."
            ),
            edits=(Edit(FLATTEN, "grid"),),
            check="shape",
            stage="patches",
            hints=(
                "How many axes does your result have, and how many does (N, D) have?",
                "One step is left after the projection: from a grid to a sequence.",
            ),
        ),
        Pitfall(
            id="tokens-as-columns",
            title="the tokens are the columns of the result, not its rows",
            advice=(
                "The result has the shape (D, N). Frameworks that put channels first leave it "
                "that way; here a token is a row."
            ),
            edits=(Edit(FLATTEN, "grid.reshape(-1, self.d_model).T"),),
            check="shape",
            stage="patches",
            hints=(
                "Which axis of your result counts the patches?",
                "Channels come last, for images and for tokens.",
            ),
        ),
        Pitfall(
            id="patch-count",
            title="patch_size is taken for the number of patches in a row",
            advice=(
                "patch_size is the side of a patch in pixels. The number of patches follows from "
                "it and from the size of the image."
            ),
            edits=(
                Edit(
                    KERNEL,
                    "patch = tuple(length // self.patch_size for length in image.shape[:2])",
                ),
            ),
            check="parameters",
            stage="patches",
            hints=(
                "Print the shape of your weights: how many pixels does a token see?",
                "For patch_size = 2, a patch of a grey image has four pixels.",
            ),
        ),
        Pitfall(
            id="one-pixel",
            title="a token sees a single pixel of its patch",
            advice=(
                "The window moves on by a whole patch but is only one pixel large, so most of the "
                "image is never read."
            ),
            edits=(Edit(PROJECT, PROJECT.replace("patch, strides", "(1, 1), strides")),),
            check="parameters",
            stage="patches",
            hints=(
                "Change one pixel in the middle of a patch: does its token change?",
                "The size of the window and the size of its step are two different options.",
            ),
        ),
        Pitfall(
            id="no-bias",
            title="the projection has no bias",
            advice=(
                "The projection is a full linear layer, weights and bias. Some published models "
                "leave the bias out; the contract keeps it."
            ),
            edits=(Edit(PROJECT, PROJECT.replace("name=", "use_bias=False, name=")),),
            check="parameters",
            stage="patches",
            hints=(
                "What should come out for a black image, all pixels 0?",
                "D parameters are missing. Look at the options of your layer.",
            ),
        ),
        Pitfall(
            id="activation",
            title="an activation follows the projection",
            advice=(
                "The patch embedding is linear. An activation throws part of the information "
                "away before the first block has seen it."
            ),
            edits=(Edit(APPLY, "grid = nn.gelu(project(image))"),),
            stage="patches",
            hints=(
                "Twice the image, with the bias taken off: does it give twice the tokens?",
                "Look at what you do between the projection and the sequence.",
            ),
        ),
        Pitfall(
            id="normalised",
            title="a LayerNorm follows the projection",
            advice=(
                "Several later models normalise their patches here. In this one the first "
                "LayerNorm belongs to the first encoder block."
            ),
            edits=(Edit(APPLY, 'grid = nn.LayerNorm(name="norm")(project(image))'),),
            check="parameters",
            stage="patches",
            hints=(
                "Which of your layers has a scale?",
                "The patch embedding consists of one linear layer and nothing else.",
            ),
        ),
        Pitfall(
            id="rescaled-image",
            title="the pixels are divided by 255",
            advice=(
                "Scaling the pixels is a matter of the data pipeline. The function gets the image "
                "as a float array and takes it as it is."
            ),
            edits=(Edit(APPLY, "grid = project(image / 255.0)"),),
            stage="patches",
            hints=(
                "How do your tokens change when the bias is 0: are they all too small?",
                "What do you do to the image before you project it?",
            ),
        ),
        Pitfall(
            id="seed-ignored",
            title="the parameters do not depend on the seed",
            advice=(
                "Two seeds should give two embeddings. With a fixed key the initial weights are "
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
    hints=(
        "Take the numbered image of the walk-through and work out by hand what should come out.",
        (
            "All patches are projected by the same linear map. What can go wrong is which pixels "
            "meet in a patch and in which order the patches come out."
        ),
        (
            "One layer with a window as large as a patch and a step as large as the window does "
            "the arithmetic. What remains is to turn the grid of results into a sequence."
        ),
    ),
)
