"""``weight_decay_mask``: how it is called, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Sizes
from grader.specs.claims import untouched
from grader.specs.p50_train_step.trees import leaf, unflattened

IS_KERNEL = 'path[-1].key == "kernel"'
MASK = f"jax.tree_util.tree_map_with_path(lambda path, _: {IS_KERNEL}, params)"


def _model_leaves(sizes: Sizes) -> dict[str, ArraySpec]:
    """Every kind of parameter that a ViT has, and names that only look like kernels, or not so."""
    d, k = sizes["hidden"], sizes["classes"]
    shapes: dict[str, tuple[int, ...]] = {
        "cls": (1, d),
        "positions": (6, d),
        "registers": (2, d),
        "patch_embed/projection/kernel": (2, 2, sizes["channels"], d),
        "patch_embed/projection/bias": (d,),
        "block_0/norm_1/scale": (d,),
        "block_0/norm_1/bias": (d,),
        "block_0/attention/query/kernel": (d, 2, 3),
        "block_0/attention/query/bias": (2, 3),
        "kernel_size_embed/embedding": (5, d),
        "block_0/kernel/bias": (d,),
        "kernel": (d, k),
        "block_0/relative_kernel": (d, d),
        "block_0/Kernel": (d,),
        "block_0/norm_1/mixing/gate/inner/kernel": (1, 1),
        "depth_wise/kernel": (d,),
        "bias_and_scale_embedding/kernel": (d, 3),
        "head/kernel": (d, k),
        "head/kernel_scale": (k,),
        "head/bias": (k,),
    }
    return {path: ArraySpec(shape) for path, shape in shapes.items()}


def _apart(mask: Any, params: Any) -> str:
    """The first leaf that only one of two trees has."""
    import jax

    found, wanted = (
        ["/".join(str(getattr(key, "key", key)) for key in path) for path, _ in leaves]
        for leaves in map(jax.tree_util.tree_leaves_with_path, (mask, params))
    )
    for path in found:
        if path not in wanted:
            return f"it has {path!r}, which is no leaf of params"
    missing = next((path for path in wanted if path not in found), None)
    return f"it has no {missing!r}" if missing else f"it is of type {type(mask).__name__}"


def _call_mask(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The mask, leaf by leaf."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    params = unflattened(arrays)
    with untouched("weight_decay_mask", params=params):
        mask = function(params)
    tree: Any = jax.tree.structure(params)
    if jax.tree.structure(mask) != tree:
        raise TypeError(
            "weight_decay_mask must return a tree of the same structure as params, a leaf for each "
            f"leaf; {_apart(mask, params)}"
        )
    odd = next((v for v in jax.tree.leaves(mask) if not isinstance(v, bool | np.bool_)), None)
    if odd is not None:
        kind = "a JAX array" if isinstance(odd, jax.Array) else f"of type {type(odd).__name__}"
        raise TypeError(f"the leaves of the mask must be Python's True and False; one is {kind}")
    return {path: jnp.asarray(bool(leaf(mask, path))) for path in arrays}


CONTRACT = Contract(
    function="weight_decay_mask",
    arguments=("params",),
    outputs=tuple(
        sorted(_model_leaves({"hidden": 1, "classes": 1, "channels": 1})),
    ),
    arrays=_model_leaves,
    call=_call_mask,
    creates_parameters=False,
)

PITFALLS = (
    Pitfall(
        id="mask-by-axes",
        title="everything with two or more axes is decayed",
        advice=(
            "A common rule of thumb, and not the rule of this problem: position tables, CLS "
            "tokens, registers and the biases of the attention heads are matrices too."
        ),
        edits=(Edit(MASK, "jax.tree.map(lambda leaf: leaf.ndim > 1, params)"),),
        hints=(
            "What does your mask say about the position table?",
            "Does the task speak of shapes or of names?",
        ),
    ),
    Pitfall(
        id="mask-all-but-bias",
        title="everything but the biases is decayed",
        advice=(
            "The scales of the LayerNorms and all learned tokens are then pulled to 0 too. "
            "Only what is named kernel should be."
        ),
        edits=(Edit(IS_KERNEL, 'path[-1].key != "bias"'),),
        hints=(
            "What does your mask say about the scale of a LayerNorm?",
            "It is easier to say what is decayed than what is not.",
        ),
    ),
    Pitfall(
        id="mask-all-but-bias-and-scale",
        title="everything but biases and scales is decayed",
        advice=(
            "CLS and register tokens and the position table are then pulled to 0 too: they are "
            "neither bias nor scale. Only what is named kernel should be."
        ),
        edits=(Edit(IS_KERNEL, 'path[-1].key not in ("bias", "scale")'),),
        hints=(
            "What does your mask say about the position table?",
            "It is easier to say what is decayed than what is not.",
        ),
    ),
    Pitfall(
        id="mask-nowhere",
        title="the mask is True nowhere: an entry of a path is compared with a string",
        advice=(
            "The entries of a path are objects such as DictKey('kernel'), and none of them equals "
            "a string. The name is in its attribute key."
        ),
        edits=(Edit(IS_KERNEL, 'path[-1] == "kernel"'),),
        hints=(
            "Count the leaves at which your mask is True.",
            "Print type(path[-1]). What is it equal to?",
        ),
    ),
    Pitfall(
        id="mask-inverted",
        title="the mask is inverted",
        advice=(
            "True means that a leaf is decayed. Yours protects the kernels and pulls all the "
            "rest towards 0."
        ),
        edits=(Edit(IS_KERNEL, IS_KERNEL.replace("==", "!=")),),
        hints=(
            "What does True mean in the mask that optax.adamw takes?",
            "What does your mask say about a bias?",
        ),
    ),
    Pitfall(
        id="mask-substring",
        title="the word kernel is searched for anywhere in the path",
        advice=(
            "The name of a module may contain the word, and so may the name of another "
            "parameter. What counts is the leaf's own name, and all of it."
        ),
        edits=(Edit(IS_KERNEL, '"kernel" in jax.tree_util.keystr(path)'),),
        hints=(
            "What does your mask say about a parameter named kernel_scale?",
            "Which part of a path is the name of the leaf?",
        ),
    ),
    Pitfall(
        id="mask-in-path",
        title="any name in the path may be kernel, not only the last one",
        advice=(
            "A module may be called kernel, and what lies in it is decayed then. What counts is "
            "the leaf's own name: the last of its path."
        ),
        edits=(Edit(IS_KERNEL, 'any(key.key == "kernel" for key in path)'),),
        hints=(
            "What does your mask say about a bias in a module named kernel?",
            "Which part of a path is the name of the leaf?",
        ),
    ),
    Pitfall(
        id="mask-arrays",
        title="the mask holds arrays, not True and False",
        advice=(
            "optax decides by the mask, in Python, which leaves to decay. Under jax.jit an array "
            "made inside has no value to decide by."
        ),
        edits=(Edit(IS_KERNEL, 'jnp.asarray(path[-1].key == "kernel")'),),
        check="runs",
        hints=(
            "Print type() of a leaf of your mask.",
            "What does comparing two strings with == give, and what do you make of it?",
        ),
    ),
    Pitfall(
        id="mask-flat",
        title="the mask is a flat dict, not a tree like params",
        advice=(
            "optax lays the mask over the parameters, so both need the same structure, "
            "module by module. A dict whose keys are whole paths does not fit."
        ),
        edits=(
            Edit(
                MASK,
                "{\n        jax.tree_util.keystr(path): "
                f"{IS_KERNEL}\n"
                "        for path, _ in jax.tree_util.tree_leaves_with_path(params)\n    }",
            ),
        ),
        check="runs",
        hints=(
            "Compare jax.tree.structure of the mask and of params.",
            "There are ways to map over a tree that keep its structure and know the paths.",
        ),
    ),
)
