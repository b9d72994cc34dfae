"""Positions (N, D) are added to the patches before CLS is put in front, so CLS has no position."""
import jax, jax.numpy as jnp
import flax.linen as nn

class SelfAttn(nn.Module):
    dim: int
    heads: int

    def setup(self):
        self.qkv = nn.Dense(3 * self.dim)
        self.proj = nn.Dense(self.dim)

    def __call__(self, x):
        T = x.shape[0]
        hd = self.dim // self.heads
        qkv = self.qkv(x).reshape(T, 3, self.heads, hd)
        qkv = jnp.transpose(qkv, (1, 2, 0, 3))       # 3, H, T, d
        q, k, v = qkv
        att = q @ jnp.swapaxes(k, -1, -2) * hd ** -0.5
        att = jax.nn.softmax(att, -1)
        o = att @ v                                  # H, T, d
        return self.proj(o.transpose(1, 0, 2).reshape(T, self.dim))

class Mlp(nn.Module):
    dim: int
    mlp_dim: int
    def setup(self):
        self.fc2 = nn.Dense(self.dim)
        self.fc1 = nn.Dense(self.mlp_dim)
    def __call__(self, x):
        return self.fc2(nn.gelu(self.fc1(x)))

class Block(nn.Module):
    dim: int
    heads: int
    mlp_dim: int
    def setup(self):
        self.norm1, self.norm2 = nn.LayerNorm(), nn.LayerNorm()
        self.attn = SelfAttn(self.dim, self.heads)
        self.mlp = Mlp(self.dim, self.mlp_dim)
    def __call__(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))

class ViTClassifier(nn.Module):
    P: int
    D: int
    H: int
    F: int
    L: int
    K: int
    n_tokens: int

    def setup(self):
        self.head = nn.Dense(self.K)
        self.norm = nn.LayerNorm()
        self.layers = [Block(self.D, self.H, self.F) for _ in range(self.L)]
        self.pos = self.param("pos", nn.initializers.normal(stddev=0.02), (self.n_tokens, self.D))
        self.cls = self.param("cls", nn.initializers.normal(stddev=0.02), (self.D,))
        self.embed = nn.Conv(self.D, (self.P, self.P), (self.P, self.P), "VALID")

    def __call__(self, img):
        x = self.embed(img)
        x = x.reshape(x.shape[0] * x.shape[1], x.shape[2])
        x = x + self.pos
        x = jnp.vstack([self.cls[None], x])
        for l in self.layers:
            x = l(x)
        return self.head(self.norm(x)[0])

def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    h, w, _ = image.shape
    net = ViTClassifier(patch_size, d_model, num_heads, d_ff, num_layers, num_classes,
                            (h // patch_size) * (w // patch_size))
    params = net.init(jax.random.PRNGKey(seed), image)
    return jax.jit(net.apply)(params, image)
