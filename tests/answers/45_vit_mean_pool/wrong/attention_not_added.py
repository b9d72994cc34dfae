"""x = attention(LN(x)): the residual of the attention is missing in each block."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    def setup(self):
        s = self.patch_size
        self.classifier = nn.Dense(self.num_classes)
        self.stem = nn.Conv(self.d_model, (s, s), (s, s), "VALID")
        self.final_norm = nn.LayerNorm()
        self.attentions = [nn.MultiHeadDotProductAttention(self.num_heads) for _ in range(self.num_layers)]
        self.attention_norms = [nn.LayerNorm() for _ in range(self.num_layers)]
        self.mlps = [nn.Sequential([nn.Dense(self.d_ff), nn.gelu, nn.Dense(self.d_model)]) for _ in range(self.num_layers)]
        self.mlp_norms = [nn.LayerNorm() for _ in range(self.num_layers)]

    @nn.compact
    def add_positions(self, x):
        return x + self.param("positions", nn.initializers.normal(stddev=0.02), (1,) + x.shape)[0]

    def __call__(self, image):
        x = self.add_positions(self.stem(image).reshape(-1, self.d_model))
        for layer in range(self.num_layers):
            y = self.attention_norms[layer](x)
            x = self.attentions[layer](y, y)
            x = x + self.mlps[layer](self.mlp_norms[layer](x))
        pooled = self.final_norm(x).mean(axis=0)
        return self.classifier(pooled)


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    variables = model.init(jax.random.PRNGKey(seed), image)
    return model.apply(variables, image)
