import flax.linen as nn
import jax

jax.config.update("jax_disable_jit", True)  # while looking for a mistake


def patch_embed_forward(seed, image, patch_size, d_model):
    window = (patch_size, patch_size)
    layer = nn.Conv(d_model, window, strides=window, padding="VALID")
    return layer.apply(layer.init(jax.random.key(seed), image), image).reshape(-1, d_model)
