"""A wrong answer to problem 46, for show: it looks right, trains well, and reads the wrong row."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class SelfAttention(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, tokens):
        count, width = tokens.shape
        qkv = nn.Dense(3 * width)(tokens).reshape(count, 3, self.heads, width // self.heads)
        q, k, v = qkv[:, 0], qkv[:, 1], qkv[:, 2]
        scores = jnp.einsum("ihd,jhd->hij", q, k) / jnp.sqrt(width // self.heads)
        mixed = jnp.einsum("hij,jhd->ihd", nn.softmax(scores), v)
        return nn.Dense(width)(mixed.reshape(count, width))


class Layer(nn.Module):
    heads: int
    hidden: int

    @nn.compact
    def __call__(self, tokens):
        tokens = tokens + SelfAttention(self.heads)(nn.LayerNorm()(tokens))
        inner = nn.gelu(nn.Dense(self.hidden)(nn.LayerNorm()(tokens)))
        return tokens + nn.Dense(tokens.shape[-1])(inner)


class Classifier(nn.Module):
    patch: int
    width: int
    heads: int
    hidden: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        size = (self.patch, self.patch)
        tokens = nn.Conv(self.width, size, strides=size, padding="VALID")(image)
        tokens = tokens.reshape(-1, self.width)
        normal = nn.initializers.normal(0.02)
        tokens = jnp.concatenate([self.param("cls_token", normal, (1, self.width)), tokens])
        tokens = tokens + self.param("pos_embed", normal, tokens.shape)
        for _ in range(self.depth):
            tokens = Layer(self.heads, self.hidden)(tokens)
        return nn.Dense(self.classes)(nn.LayerNorm()(tokens)[-1])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = Classifier(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)
