"""Channel numbers of logits and features computed by NumPy and used to gather; ViT with nn.scan over the layers."""
import numpy as np
import jax
import jax.numpy as jnp
import flax.linen as nn


def extra_head_pool(tokens: jax.Array, num_heads: int, temperature: float = 1.0) -> tuple[jax.Array, jax.Array]:
    channels = np.arange(tokens.shape[-1])
    period = tokens.shape[-1] // num_heads
    logit_channels = channels[period - 1::period]
    feature_channels = np.setdiff1d(channels, logit_channels)
    scores = jnp.mean(tokens[:, logit_channels], axis=1)
    log_probs = jax.nn.log_softmax(scores / temperature)
    probs = jnp.exp(log_probs)
    return jnp.einsum("n,nf->f", probs, tokens[:, feature_channels]), probs


class ScanBody(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x, _):
        d = x.shape[-1]
        hd = d // self.heads
        y = nn.LayerNorm(name="pre")(x)
        q, k, v = (nn.DenseGeneral((self.heads, hd), name=n)(y) for n in ("q", "k", "v"))
        a = jax.nn.softmax(jnp.einsum("ihd,jhd->hij", q, k) / np.sqrt(hd), axis=-1)
        x = x + nn.DenseGeneral(d, axis=(-2, -1), name="o")(jnp.einsum("hij,jhd->ihd", a, v))
        y = nn.LayerNorm(name="post")(x)
        return x + nn.Dense(d, name="d2")(nn.gelu(nn.Dense(self.ff, name="d1")(y))), None


class Encoder(nn.Module):
    patch: int
    width: int
    heads: int
    ff: int
    depth: int

    @nn.compact
    def __call__(self, image):
        h, w, c = image.shape
        p = self.patch
        x = image.reshape(h // p, p, w // p, p, c).swapaxes(1, 2).reshape(-1, p * p * c)
        x = nn.Dense(self.width, name="embed")(x)
        x = x + nn.Embed(x.shape[0], self.width, embedding_init=nn.initializers.normal(0.02), name="pos")(np.arange(x.shape[0]))
        layers = nn.scan(ScanBody, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.depth)
        x, _ = layers(self.heads, self.ff, name="layers")(x, None)
        return x


def vit_extra_head_forward(seed: int, image: jax.Array, patch_size: int, output_dim: int, num_heads: int, d_ff: int,
                           num_layers: int) -> tuple[jax.Array, jax.Array]:
    encoder = Encoder(patch_size, output_dim + num_heads, num_heads, d_ff, num_layers)
    params = encoder.init(jax.random.key(seed), image)
    return extra_head_pool(encoder.apply(params, image), num_heads=num_heads)
