"""The number of patches is (H // P) ** 2, so every image with H != W crashes."""
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
    hidden: int
    def setup(self):
        self.fc2 = nn.Dense(self.dim)
        self.fc1 = nn.Dense(self.hidden)
    def __call__(self, x):
        return self.fc2(nn.gelu(self.fc1(x)))

class Layer(nn.Module):
    dim: int
    heads: int
    hidden: int
    def setup(self):
        self.norm1, self.norm2 = nn.LayerNorm(), nn.LayerNorm()
        self.attn = SelfAttn(self.dim, self.heads)
        self.mlp = Mlp(self.dim, self.hidden)
    def __call__(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))

class Net(nn.Module):
    P: int
    D: int
    H: int
    F: int
    L: int
    K: int
    num_patches: int

    def setup(self):
        self.head = nn.Dense(self.K)
        self.norm = nn.LayerNorm()
        self.layers = [Layer(self.D, self.H, self.F) for _ in range(self.L)]
        self.pos = self.param("pos", nn.initializers.normal(stddev=0.02), (self.num_patches + 1, self.D))
        self.cls = self.param("cls", nn.initializers.normal(stddev=0.02), (self.D,))
        self.embed = nn.Conv(self.D, (self.P, self.P), (self.P, self.P), "VALID")

    def __call__(self, img):
        x = self.embed(img)
        x = x.reshape(x.shape[0] * x.shape[1], x.shape[2])
        x = jnp.vstack([self.cls[None], x]) + self.pos
        for l in self.layers:
            x = l(x)
        return self.head(self.norm(x)[0])

def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    size = image.shape[0]
    net = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes,
                            (size // patch_size) ** 2)
    params = net.init(jax.random.PRNGKey(seed), image)
    return jax.jit(net.apply)(params, image)
