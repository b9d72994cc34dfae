"""The models of problems 45 to 48 as the training run sees them: batches in, logits out.

The modules are those of the reference solutions, written for a single image; ``jax.vmap`` makes
batches of them.  What training needs beyond them goes around them, by Flax's
``intercept_methods``, so that the references stay what students read:

- stochastic depth: the two branches of a block are left out by chance while training;
- fused attention where the device has it;
- the attention weights of the last block, for the pictures of the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from grader import use
from solutions.training.fused import Kernel, attend, fuses_attention, has_bfloat16
from solutions.training.initial import mimetic
from solutions.training.products import with_fast_products
from solutions.training.recipe import BadRecipe, Recipe

Params = Any
POSITIONS_AS_IN_THE_PROBLEMS = 0.02
PROBLEMS = {"mean_pool": 45, "cls": 46, "registers": 47, "extra_head": 48}


@dataclass(frozen=True)
class Layout:
    """Where a student's answer keeps what the reference keeps elsewhere.

    Attributes:
      to_reference: from a tree like the answer's parameters to one like the reference's.
      from_reference: back.

    """

    to_reference: Callable[[Params], Params]
    from_reference: Callable[[Params], Params]


@dataclass(frozen=True)
class Model:
    """A classifier as pure functions.

    Attributes:
      init: from a key to parameters, float32.
      apply: ``apply(params, images, key)`` → logits (B, K) float32, for normalised images
        (B, H, W, C).  With a key the model trains (stochastic depth); without it does not.
      attention: ``attention(params, image)`` → weights (heads, T, T) of the last block, for one
        image; None where the model does not show them.
      positions: ``positions(params)`` → the position table (rows, D), those of patches last.
      extra_tokens: how many tokens stand before those of the patches.
      grid: rows and columns of patches.
      layout: of the parameters, where it is not the reference's.

    """

    init: Callable[[Array], Params]
    apply: Callable[..., Float[Array, "B K"]]
    attention: Callable[[Params, Array], Array | None]
    positions: Callable[[Params], Array]
    extra_tokens: int
    grid: tuple[int, int]
    layout: Layout | None = None


def grid_of(recipe: Recipe, image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of patches.

    Raises:
      BadRecipe: the patches do not fill the image.

    """
    height, width, _ = image_shape
    if height % recipe.patch_size or width % recipe.patch_size:
        raise BadRecipe(
            f"patch_size is {recipe.patch_size}; it must divide the image, {height} × {width}"
        )
    return height // recipe.patch_size, width // recipe.patch_size


def build(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int) -> Model:
    """The reference model that a recipe asks for.

    Args:
      recipe: its model and sizes.
      image_shape: (H, W, C).
      num_classes: K.

    """
    grid = grid_of(recipe, image_shape)
    module, head = linen_module(recipe, num_classes), nn.Dense(num_classes)
    extra_head = recipe.model == "extra_head"
    dtype = activation_dtype(recipe)
    rates = _drop_rates(recipe)
    fused = fuses_attention(dtype, recipe.width // recipe.heads)

    def init(key: Array) -> Params:
        model_key, head_key = jax.random.split(key)
        image = jnp.zeros(image_shape)
        params = dict(module.init(model_key, image)["params"])
        params["positions"] *= recipe.position_std / POSITIONS_AS_IN_THE_PROBLEMS
        if recipe.start == "mimetic":
            params = mimetic(params, grid, recipe.position_std)
        if extra_head:
            embedding = jnp.zeros((recipe.width - recipe.heads,))
            return {"vit": params, "head": head.init(head_key, embedding)["params"]}
        return params

    def one(params: Params, image: Array, key: Array | None) -> Array:
        rngs = None if key is None else {"drop_path": key}
        around = _Around(rates if key is not None else (), fused=fused)
        with nn.intercept_methods(around):
            return _logits(params, image, rngs)

    def _logits(params: Params, image: Array, rngs: Mapping[str, Array] | None) -> Array:
        if extra_head:
            embedding, _ = module.apply({"params": params["vit"]}, image, rngs=rngs)
            return head.apply({"params": params["head"]}, embedding)
        result = module.apply({"params": params}, image, rngs=rngs)
        return result[0] if isinstance(result, tuple) else result

    def apply(params: Params, images: Array, key: Array | None = None) -> Array:
        params = jax.tree.map(lambda p: p.astype(dtype), params)
        images = images.astype(dtype)
        if key is None or not recipe.drop_path:
            logits = jax.vmap(lambda image: one(params, image, None))(images)
        else:
            keys = jax.random.split(key, len(images))
            logits = jax.vmap(lambda image, k: one(params, image, k))(images, keys)
        return logits.astype(jnp.float32)

    @jax.jit
    def attention(params: Params, image: Array) -> Array | None:
        around = _Around(())
        with nn.intercept_methods(around):
            _logits(params, image, None)
        return around.weights

    vit = (lambda params: params["vit"]) if extra_head else (lambda params: params)
    return Model(
        init=init,
        apply=suited_to_cpus(apply, recipe),
        attention=attention,
        positions=lambda params: vit(params)["positions"],
        extra_tokens=1 if recipe.model in ("cls", "registers") else 0,
        grid=grid,
    )


def linen_module(recipe: Recipe, num_classes: int) -> nn.Module:
    """The module of problems 45 to 48 that a recipe asks for, for one image."""
    sizes = (recipe.patch_size, recipe.width, recipe.heads, recipe.mlp, recipe.depth)
    reference = use(PROBLEMS[recipe.model])
    module: nn.Module
    if recipe.model == "mean_pool":
        module = reference.ViTMeanPool(*sizes, num_classes)
    elif recipe.model == "cls":
        module = reference.ViTCls(*sizes, num_classes)
    elif recipe.model == "registers":
        module = reference.ViTRegisters(*sizes, recipe.registers, num_classes)
    else:  # its width is output_dim + heads, and it has to be a multiple of heads
        patch, width, heads, mlp, depth = sizes
        module = reference.ViTExtraHead(patch, width - heads, heads, mlp, depth)
    return module


def compute_dtype(recipe: Recipe) -> Any:
    """The recipe's; ``auto`` is bfloat16 where the device gains from it, see `has_bfloat16`."""
    if recipe.dtype == "auto":
        return jnp.bfloat16 if has_bfloat16() else jnp.float32
    return jnp.dtype(recipe.dtype)


def activation_dtype(recipe: Recipe) -> Any:
    """Of parameters and activations as the model gets them: float32 on CPUs, see `products`."""
    return jnp.float32 if jax.default_backend() == "cpu" else compute_dtype(recipe)


def suited_to_cpus(function: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    """On CPUs ``function`` with its products as they are fast there, elsewhere as it is."""
    if jax.default_backend() != "cpu":
        return function
    return with_fast_products(function, compute_dtype(recipe) == jnp.bfloat16)


def _drop_rates(recipe: Recipe) -> tuple[float, ...]:
    """Stochastic depth: 0 for the first block, growing linearly to ``drop_path`` for the last."""
    last = max(recipe.depth - 1, 1)
    return tuple(recipe.drop_path * i / last for i in range(recipe.depth))


class _Around:
    """What happens around the methods of the references; see the module's docstring.

    Attributes:
      weights: the attention weights of the last block that ran, if they were not fused.

    """

    def __init__(self, drop_rates: tuple[float, ...], fused: bool | None = None) -> None:
        self._rates = drop_rates
        self._fused = fused
        self.weights: Array | None = None

    def __call__(self, next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module, method = context.module, context.method_name
        if method != "__call__" or not module.path or module.path[-1] not in _BRANCHES:
            return next_fun(*args, **kwargs)
        if module.path[-1] == "attention" and self._fused is not False:
            if self._fused:
                result = fused_attention(module.variables["params"], args[0], "cudnn")
            else:
                result, self.weights = _attention(module.variables["params"], args[0])
        else:
            result = next_fun(*args, **kwargs)
        return self._dropped(module, result)

    def _dropped(self, module: nn.Module, branch: Array) -> Array:
        """Huang et al. 2016, arXiv 1603.09382: left out by chance, else scaled up to make up."""
        if not self._rates:
            return branch
        block = next(name for name in module.path if name.startswith("block_"))
        rate = self._rates[int(block.removeprefix("block_"))]
        if not rate:
            return branch
        kept = jax.random.bernoulli(module.make_rng("drop_path"), 1 - rate)
        return jnp.where(kept, branch / (1 - rate), 0).astype(branch.dtype)


_BRANCHES = ("attention", "mlp_out")
"""The modules at the end of the two branches of a block of problem 41."""


def _projected(params: Params, x: Array) -> tuple[Array, Array, Array]:
    """Query, key and value (T, heads, d) with the parameters of problem 40."""

    def project(name: str) -> Array:
        return jnp.einsum("td,dhk->thk", x, params[name]["kernel"]) + params[name]["bias"]

    return project("query"), project("key"), project("value")


def _merged(params: Params, mixed: Array) -> Array:
    return jnp.einsum("thd,hdo->to", mixed, params["out"]["kernel"]) + params["out"]["bias"]


def _attention(params: Params, x: Float[Array, "T D"]) -> tuple[Array, Array]:
    """Problem 40 in words of its own, since it has to show its weights (heads, T, T)."""
    query, key, value = _projected(params, x)
    scores = jnp.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[-1])
    weights = jax.nn.softmax(scores, axis=-1)
    return _merged(params, jnp.einsum("hqk,khd->qhd", weights, value)), weights


def fused_attention(params: Params, x: Float[Array, "T D"], kernel: Kernel) -> Array:
    """Problem 40 by `attend`.

    Args:
      params: query, key, value and out of problem 40.
      x: tokens.
      kernel: as `attend` has it.

    """
    return _merged(params, attend(*_projected(params, x), kernel))
