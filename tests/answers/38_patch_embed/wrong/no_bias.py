"""use_bias=False in the patch convolution."""
import jax
import flax.linen as nn


def patch_embed_forward(seed, image, patch_size, d_model):
    size = (patch_size, patch_size)
    conv = nn.Conv(d_model, size, strides=size, padding="VALID", use_bias=False)
    params = conv.init(jax.random.key(seed), image)
    out = jax.jit(conv.apply)(params, image)
    return out.reshape((-1, d_model))
