"""The patch convolution computes in float16 (dtype=jnp.float16), everything after it in float32."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class ScanBlock(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, carry, _):
        d = carry.shape[-1]
        h = nn.LayerNorm(name="ln_att")(carry)
        q = nn.DenseGeneral((self.num_heads, d // self.num_heads), name="q")(h)
        k = nn.DenseGeneral((self.num_heads, d // self.num_heads), name="k")(h)
        v = nn.DenseGeneral((self.num_heads, d // self.num_heads), name="v")(h)
        w = jnp.einsum("thd,shd->hts", q, k) / jnp.sqrt(d // self.num_heads)
        w = nn.softmax(w, axis=-1)
        o = jnp.einsum("hts,shd->thd", w, v)
        carry = carry + nn.DenseGeneral(d, axis=(-2, -1), name="o")(o)
        h = nn.LayerNorm(name="ln_mlp")(carry)
        h = nn.Dense(d, name="down")(nn.gelu(nn.Dense(self.d_ff, name="up")(h)))
        return carry + h, None


class HalfViT(nn.Module):
    patch: int
    width: int
    heads: int
    hidden: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        tokens = nn.Conv(self.width, (self.patch,) * 2, strides=self.patch, padding="VALID", dtype=jnp.float16, name="patches")(image)
        tokens = jnp.reshape(tokens, (-1, self.width))
        n = tokens.shape[0]
        cls_token = self.param("cls_token", nn.initializers.normal(0.02), (1, self.width))
        pos_table = self.param("pos_table", nn.initializers.normal(0.02), (n + 1, self.width))
        tokens = jnp.concatenate((cls_token, tokens)) + pos_table
        Stack = nn.scan(
            ScanBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.depth,
        )
        tokens, _ = Stack(self.heads, self.hidden, name="stack")(tokens, None)
        tokens = nn.LayerNorm(name="ln_final")(tokens)
        return nn.Dense(self.classes, name="head")(tokens[0, :])


def vit_cls_forward(
    seed: int,
    image: jax.Array,
    patch_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    num_classes: int,
) -> jax.Array:
    vit = HalfViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    logits, _ = vit.init_with_output(jax.random.key(seed), image)
    return logits
