"""conv_general_dilated_patches on a batch of one, then Dense inside an nn.Sequential with lambdas."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def patch_embed_forward(seed, image, patch_size, d_model):
    p = patch_size

    def unfold(x):
        return jax.lax.conv_general_dilated_patches(
            x, (p, p), (p, p), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    pipeline = nn.Sequential([
        lambda x: jnp.expand_dims(x, 0),
        unfold,
        nn.Dense(d_model),
        lambda x: x.reshape(x.shape[0], -1, x.shape[-1]),
        lambda x: x[0],
    ])
    variables = pipeline.init({"params": jax.random.key(seed)}, image)
    return pipeline.apply(variables, image)
