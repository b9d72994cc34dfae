"""im2col by two Python loops with slices, one Dense applied to each patch vector separately; prints left in."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class patch_embed(nn.Module):
    p: int
    D: int

    @nn.compact
    def __call__(self, image):
        lin = nn.Dense(self.D, name="lin")
        tokens = []
        print("image:", image.shape)
        for top in range(0, image.shape[0], self.p):
            for left in range(0, image.shape[1], self.p):
                patch = image[top:top + self.p, left:left + self.p]
                tokens.append(lin(patch.ravel()))
        tokens = jnp.stack(tokens, axis=0)
        print("tokens:", tokens.shape)
        return tokens


def patch_embed_forward(seed, image, patch_size, d_model):
    key = jax.random.PRNGKey(seed)
    model = patch_embed(p=patch_size, D=d_model)
    params = model.init(key, image)
    tokens = model.apply(params, image)
    return tokens
