"""The mean runs over the features, the head gets a vector of length N."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class EncoderLayer(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        t, d = x.shape
        h = nn.LayerNorm(name="norm_1")(x)
        q, k, v = jnp.split(nn.Dense(3 * d, name="qkv")(h), [d, 2 * d], axis=-1)
        heads = lambda a: a.reshape(t, self.num_heads, d // self.num_heads)
        y = nn.dot_product_attention(heads(q), heads(k), heads(v), deterministic=True)
        x = x + nn.Dense(d, name="proj")(y.reshape(t, d))
        h = nn.LayerNorm(name="norm_2")(x)
        return x + nn.Dense(d, name="fc2")(nn.gelu(nn.Dense(self.d_ff, name="fc1")(h)))


class Net(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p, c = self.patch_size, image.shape[-1]
        x = jnp.transpose(image, (2, 0, 1))
        x = x.reshape(c, image.shape[0] // p, p, image.shape[1] // p, p)
        x = jnp.einsum("chpwq->hwcpq", x).reshape(-1, c * p * p)
        x = nn.Dense(self.d_model, name="to_tokens")(x)
        x = x + self.param("pos", nn.initializers.normal(0.02), (x.shape[0], self.d_model))
        x = nn.remat_scan(EncoderLayer, lengths=(self.num_layers, 1))(self.num_heads, self.d_ff, name="tower")(x)
        x = nn.LayerNorm(name="norm")(x)
        return nn.Dense(self.num_classes, name="head")(jnp.average(x, axis=-1))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    net = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    v = net.init(jax.random.key(seed), image)
    return net.apply(v, image)
