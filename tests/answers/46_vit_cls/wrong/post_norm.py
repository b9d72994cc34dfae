"""Post-LN blocks as in the first Transformer paper: LayerNorm after the residual sums."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class FeedForward(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.width)(x)))


class Attention(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        seq, dim = x.shape
        split = lambda y: y.reshape(seq, self.heads, dim // self.heads)
        q = split(nn.Dense(dim, name="wq")(x))
        k = split(nn.Dense(dim, name="wk")(x))
        v = split(nn.Dense(dim, name="wv")(x))
        return nn.Dense(dim, name="wo")(nn.dot_product_attention(q, k, v).reshape(seq, dim))


class EncoderLayer(nn.Module):
    heads: int
    width: int

    def setup(self):
        self.attention = Attention(self.heads)
        self.ff = FeedForward(self.width)
        self.norm_a = nn.LayerNorm()
        self.norm_b = nn.LayerNorm()

    def __call__(self, x):
        x = self.norm_a(x + self.attention(x))
        x = self.norm_b(x + self.ff(x))
        return x


class ViT(nn.Module):
    opts: tuple

    @nn.compact
    def __call__(self, image):
        patch_size, d_model, num_heads, d_ff, num_layers, num_classes = self.opts
        x = nn.Conv(d_model, (patch_size, patch_size), strides=patch_size, padding="VALID", name="conv")(image)
        x = x.reshape(-1, d_model)
        x = jnp.vstack([self.param("cls", nn.initializers.normal(0.02), (1, d_model)), x])
        x += self.param("pos", nn.initializers.normal(0.02), (len(x), d_model))
        for i in range(num_layers):
            x = EncoderLayer(num_heads, d_ff, name=f"layer{i}")(x)
        x = nn.LayerNorm(name="norm")(x)
        return nn.Dense(num_classes, name="head")(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT((patch_size, d_model, num_heads, d_ff, num_layers, num_classes))
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)
