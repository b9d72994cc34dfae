"""Attention scores are divided by sqrt(D) instead of sqrt(D / num_heads)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Attn(nn.Module):
    d_model: int
    num_heads: int

    def setup(self):
        dh = self.d_model // self.num_heads
        self.b_out = self.param("b_out", nn.initializers.zeros, (self.d_model,))
        self.w_out = self.param("w_out", nn.initializers.xavier_uniform(), (self.d_model, self.d_model))
        self.b_in = self.param("b_in", nn.initializers.zeros, (self.num_heads, 3, dh))
        self.w_in = self.param("w_in", nn.initializers.xavier_uniform(), (self.d_model, self.num_heads * 3 * dh))

    def __call__(self, x):
        dh = self.d_model // self.num_heads
        qkv = (x @ self.w_in).reshape(x.shape[0], self.num_heads, 3, dh) + self.b_in
        q, k, v = jnp.moveaxis(qkv, 2, 0)
        logits = jnp.einsum("ihd,jhd->ijh", q, k) / self.d_model ** 0.5
        probs = jax.nn.softmax(logits, axis=1)
        mixed = jnp.einsum("ijh,jhd->ihd", probs, v)
        return mixed.reshape(x.shape) @ self.w_out + self.b_out


class VitModel(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int
    grid: tuple

    def setup(self):
        n = self.grid[0] * self.grid[1]
        self.out_layer = nn.Dense(self.num_classes)
        self.position_table = self.param("position_table", nn.initializers.normal(0.02), (n + 1, self.d_model))
        ups, downs, atts, norms = [], [], [], []
        for _ in reversed(range(self.num_layers)):
            downs.append(nn.Dense(self.d_model))
            norms.append((nn.LayerNorm(), nn.LayerNorm()))
            ups.append(nn.Dense(self.d_ff))
            atts.append(Attn(self.d_model, self.num_heads))
        self.ups, self.downs, self.atts, self.norms = ups, downs, atts, norms
        self.the_token = self.param("the_token", nn.initializers.normal(0.02), (1, self.d_model))
        self.last_norm = nn.LayerNorm()
        self.patcher = nn.Conv(self.d_model, (self.patch_size, self.patch_size),
                               strides=(self.patch_size, self.patch_size), padding="VALID")

    def embed(self, image):
        patches = self.patcher(image)
        flat = jnp.concatenate(list(patches), axis=0)      # the rows of the grid, one after the other
        return jnp.concatenate([self.the_token, flat], axis=0) + self.position_table

    def encode(self, x):
        for i in range(self.num_layers):
            x = x + self.atts[i](self.norms[i][0](x))
            x = x + self.downs[i](nn.gelu(self.ups[i](self.norms[i][1](x))))
        return self.last_norm(x)

    def __call__(self, image):
        x = self.encode(self.embed(image))
        return self.out_layer(jax.lax.index_in_dim(x, 0, axis=0, keepdims=False))


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    grid = (image.shape[0] // patch_size, image.shape[1] // patch_size)
    vit = VitModel(patch_size, d_model, num_heads, d_ff, num_layers, num_classes, grid)
    params = vit.init(jax.random.key(seed), image)
    # two stages, through method=
    x = vit.apply(params, image, method=vit.embed)
    x = vit.apply(params, x, method="encode")
    bound = vit.bind(params)
    return bound.out_layer(x[0])
