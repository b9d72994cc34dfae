"""The position table has shape (1, D) and broadcasts: each patch gets the same row."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Block(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        y = nn.LayerNorm(name="ln1")(x)
        qkv = nn.DenseGeneral((self.heads, 3, d // self.heads), name="qkv")(y)
        y = jax.nn.dot_product_attention(*jnp.moveaxis(qkv, 2, 0))
        x = x + nn.DenseGeneral(d, axis=(-2, -1), name="out")(y)
        y = nn.LayerNorm(name="ln2")(x)
        return x + nn.Dense(d, name="fc2")(nn.gelu(nn.Dense(self.ff, name="fc1")(y)))


class MyViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    def setup(self):
        size = (self.patch_size, self.patch_size)
        self.proj = nn.Conv(self.d_model, size, strides=size, padding="VALID")
        self.blocks = [Block(self.num_heads, self.d_ff) for _ in range(self.num_layers)]
        self.norm = nn.LayerNorm()
        self.head = nn.Dense(self.num_classes)

    @nn.compact
    def embed(self, image):
        tokens = self.proj(image).reshape(-1, self.d_model)
        pos = self.param("pos", nn.initializers.normal(0.02), (1, self.d_model))
        return tokens + pos

    def __call__(self, image):
        x = self.embed(image)
        for b in self.blocks:
            x = b(x)
        return self.head(jnp.mean(self.norm(x), 0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = MyViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return jax.jit(model.apply)(params, image)
