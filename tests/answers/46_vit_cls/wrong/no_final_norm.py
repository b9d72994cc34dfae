"""The LayerNorm after the last block is missing."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class Head(nn.Module):
    size: int

    @nn.compact
    def __call__(self, x):
        q, k, v = (nn.Dense(self.size, name=n)(x) for n in ("query", "key", "value"))
        wei = q @ k.T
        wei = wei * self.size ** -0.5
        wei = jax.nn.softmax(wei, axis=-1)
        return wei @ v


class MultiHead(nn.Module):
    n_heads: int

    @nn.compact
    def __call__(self, x):
        n_embd = x.shape[-1]
        outs = [Head(n_embd // self.n_heads, name=f"head{i}")(x) for i in range(self.n_heads)]
        return nn.Dense(n_embd, name="proj")(jnp.concatenate(outs, axis=-1))


class Block(nn.Module):
    n_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        x = x + MultiHead(self.n_heads, name="sa")(nn.LayerNorm(name="ln1")(x))
        y = nn.Dense(self.d_ff, name="ff_in")(nn.LayerNorm(name="ln2")(x))
        y = nn.gelu(y)
        return x + nn.Dense(x.shape[-1], name="ff_out")(y)


class ViTWithEmbed(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        ps = self.patch_size
        feat = nn.Conv(self.d_model, (ps, ps), (ps, ps), padding=0, name="conv")(image)
        seq = feat.reshape(-1, feat.shape[-1])
        cls = self.param("cls", nn.initializers.normal(0.02), (1, 1, self.d_model))[0]
        seq = jnp.append(cls, seq, axis=0)
        length = seq.shape[0]
        pe = nn.Embed(length, self.d_model, embedding_init=nn.initializers.normal(0.02), name="pe")
        seq = seq + pe(jnp.arange(length))
        for i in range(self.num_layers):
            seq = Block(self.num_heads, self.d_ff, name=f"block_{i}")(seq)
        cls_out = jnp.take(seq, 0, axis=0)
        return nn.Dense(self.num_classes, name="head")(cls_out)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    key = jax.random.key(seed)
    model = ViTWithEmbed(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    variables = model.init(key, image)
    out = model.apply(variables, image)
    return out
