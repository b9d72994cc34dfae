"""One parameter per register, kept in a list and stacked; LayerNorm applied apart to CLS and patches; head loop; static jit."""
from functools import partial
import jax
import jax.numpy as jnp
from flax import linen as nn


class HeadedBlock(nn.Module):
    nh: int
    ff: int

    @nn.compact
    def __call__(self, x):
        D = x.shape[1]
        h = nn.LayerNorm(name="norm_before_attention")(x)
        parts = []
        for i in range(self.nh):
            q, k, v = [nn.Dense(D // self.nh, name=f"{n}_{i}")(h) for n in ("q", "k", "v")]
            parts.append(jax.nn.softmax(q @ k.T / (D // self.nh) ** 0.5, axis=-1) @ v)
        x = x + nn.Dense(D, name="combine")(jnp.concatenate(parts, -1))
        h = nn.LayerNorm(name="norm_before_mlp")(x)
        h = nn.Dense(self.ff, name="in")(h)
        return x + nn.Dense(D, name="out")(nn.gelu(h))


class RegViT(nn.Module):
    patch: int
    dim: int
    nh: int
    ff: int
    layers: int
    regs: int
    classes: int

    @nn.compact
    def __call__(self, img):
        s = self.patch
        tokens = nn.Conv(self.dim, (s, s), strides=(s, s), padding="VALID", name="stem")(img).reshape(-1, self.dim)
        n_patches = tokens.shape[0]
        cls = self.param("cls", nn.initializers.normal(0.02), (self.dim,))
        tokens = jnp.insert(tokens, 0, cls, axis=0)
        tokens = tokens + nn.Embed(n_patches + 1, self.dim, embedding_init=nn.initializers.normal(0.02), name="pos")(
            jnp.arange(n_patches + 1))
        registers = [self.param(f"register_{r}", nn.initializers.normal(0.02), (self.dim,)) for r in range(self.regs)]
        for reg in registers:
            tokens = jnp.append(tokens, reg[None, :], axis=0)
        for l in range(self.layers):
            tokens = HeadedBlock(self.nh, self.ff, name=f"layer_{l}")(tokens)
        norm = nn.LayerNorm(name="norm")
        cls_out, patch_out = tokens[0], tokens[1:1 + n_patches]
        return nn.Dense(self.classes, name="head")(norm(cls_out)), norm(patch_out)


@partial(jax.jit, static_argnums=(0, 2, 3, 4, 5, 6, 7, 8))
def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    model = RegViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)
