"""The pre-LN block of problem 41, with the options that published models need."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float

from solutions.distillation.attention import Layout, Mask, SelfAttention

Activation = Callable[[Array], Array]


def quick_gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``x · sigmoid(1.702 · x)``, CLIP's approximation of GELU, of the shape of ``x``.

    Source: Hendrycks & Gimpel 2016, arXiv 1606.08415; OpenAI's CLIP uses it throughout.
    """
    return x * nn.sigmoid(1.702 * x)


def exact_gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``x · Φ(x)`` by the error function, not Flax's default tanh form; the shape of ``x``."""
    return nn.gelu(x, approximate=False)


ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": quick_gelu,
    "gelu": exact_gelu,
    "gelu_new": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
}
"""By the names that ``hidden_act`` has in Hugging Face's configurations."""


class LayerScale(nn.Module):
    """One learned factor for each channel.

    Source: Touvron et al. 2021, "Going deeper with Image Transformers", arXiv 2103.17239.
    """

    start: float = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "T D"]) -> Float[Array, "T D"]:
        """Return ``x`` (T, D) with every channel scaled."""
        return x * self.param("scale", nn.initializers.constant(self.start), (x.shape[-1],))


class EncoderBlock(nn.Module):
    """``x + attention(LN(x))``, then ``x + MLP(LN(x))``, as in problem 41.

    With the defaults it computes what problem 41 does and has the same parameters. Submodules
    are named as there: ``norm_1``, ``attention``, ``norm_2``, ``mlp_in``, ``mlp_out``, and
    ``scale_1``, ``scale_2`` with ``layer_scale``.
    """

    num_heads: int
    d_ff: int
    activation: Activation = nn.gelu
    epsilon: float = 1e-6
    layer_scale: bool = False
    layout: Layout = "plain"

    @nn.compact
    def __call__(self, x: Float[Array, "T D"], mask: Mask = None) -> Float[Array, "T D"]:
        """Return the tokens (T, D) after attention (within ``mask``) and MLP, (T, D)."""
        y = nn.LayerNorm(self.epsilon, name="norm_1")(x)
        y = SelfAttention(self.num_heads, self.layout, name="attention")(y, mask)
        x = x + (LayerScale(name="scale_1")(y) if self.layer_scale else y)
        y = nn.LayerNorm(self.epsilon, name="norm_2")(x)
        y = self.activation(nn.Dense(self.d_ff, name="mlp_in")(y))
        y = nn.Dense(x.shape[-1], name="mlp_out")(y)
        return x + (LayerScale(name="scale_2")(y) if self.layer_scale else y)
