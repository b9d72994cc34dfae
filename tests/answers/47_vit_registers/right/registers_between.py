"""setup, batch of one, registers between CLS and the patches, no register parameter at all when R = 0; fused qkv."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class Attn(nn.Module):
    dim: int
    heads: int

    def setup(self):
        self.to_qkv = nn.Dense(3 * self.dim)
        self.to_out = nn.Dense(self.dim)

    def __call__(self, x):
        B, T, D = x.shape
        q, k, v = self.to_qkv(x).reshape(B, T, 3, self.heads, D // self.heads).transpose(2, 0, 3, 1, 4)
        dots = jnp.einsum("bhid,bhjd->bhij", q, k) * (D // self.heads) ** -0.5
        out = jnp.einsum("bhij,bhjd->bhid", nn.softmax(dots, -1), v)
        return self.to_out(out.transpose(0, 2, 1, 3).reshape(B, T, D))


class EncoderLayer(nn.Module):
    dim: int
    heads: int
    ff: int

    def setup(self):
        self.norm_attn = nn.LayerNorm()
        self.attn = Attn(self.dim, self.heads)
        self.norm_ff = nn.LayerNorm()
        self.ff_layers = nn.Sequential([nn.Dense(self.ff), nn.gelu, nn.Dense(self.dim)])

    def __call__(self, x):
        x = x + self.attn(self.norm_attn(x))
        return x + self.ff_layers(self.norm_ff(x))


class DinoLike(nn.Module):
    img_tokens: int
    patch: int
    dim: int
    heads: int
    ff: int
    depth: int
    n_reg: int
    n_cls: int

    def setup(self):
        init = nn.initializers.normal(0.02)
        self.cls_token = self.param("cls_token", init, (1, 1, self.dim))
        self.pos_embed = self.param("pos_embed", init, (1, self.img_tokens + 1, self.dim))
        if self.n_reg > 0:
            self.register_tokens = self.param("register_tokens", init, (1, self.n_reg, self.dim))
        self.patch_embed = nn.Conv(self.dim, (self.patch, self.patch), (self.patch, self.patch), "VALID")
        self.blocks = [EncoderLayer(self.dim, self.heads, self.ff) for _ in range(self.depth)]
        self.norm = nn.LayerNorm()
        self.head = nn.Dense(self.n_cls)

    def prepare_tokens(self, imgs):
        B = imgs.shape[0]
        x = self.patch_embed(imgs).reshape(B, -1, self.dim)
        x = jnp.concatenate([jnp.repeat(self.cls_token, B, axis=0), x], axis=1) + self.pos_embed
        if self.n_reg > 0:
            reg = jnp.repeat(self.register_tokens, B, axis=0)
            x = jnp.concatenate([x[:, :1], reg, x[:, 1:]], axis=1)
        return x

    def __call__(self, imgs):
        x = self.prepare_tokens(imgs)
        for blk in self.blocks:
            x = blk(x)
        x = self.norm(x)
        return {"logits": self.head(x[:, 0]), "patchtokens": x[:, self.n_reg + 1:]}


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    n = (image.shape[0] // patch_size) * (image.shape[1] // patch_size)
    model = DinoLike(n, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    variables = model.init(jax.random.PRNGKey(seed), image[None])
    out = jax.jit(model.apply)(variables, image[None])
    return out["logits"][0], out["patchtokens"][0]
