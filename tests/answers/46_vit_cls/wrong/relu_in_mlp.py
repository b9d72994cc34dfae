"""The MLP of the blocks uses ReLU, not GELU."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class VIT(nn.Module):
    PS: int; DM: int; NH: int; FF: int; NL: int; NC: int

    @nn.compact
    def __call__(self, IMG):
        rows = IMG.shape[0] // self.PS
        cols = IMG.shape[1] // self.PS
        # cut patches one by one, TODO make faster
        lst = []
        for r in range(rows):
            for c in range(cols):
                lst.append(IMG[r*self.PS:(r+1)*self.PS, c*self.PS:(c+1)*self.PS, :].flatten())
        X = jnp.stack(lst)
        X = nn.Dense(self.DM, name="patch_proj")(X)
        CLS = self.param("CLS", nn.initializers.normal(stddev=0.02), (1, self.DM))
        POS = self.param("POS", nn.initializers.normal(stddev=0.02), (1, rows*cols+1, self.DM))
        X = jnp.concatenate([CLS, X], axis=0)
        X = X + POS.squeeze(0)
        print("with cls", X.shape)
        for L in range(self.NL):
            X_old = X
            X = nn.LayerNorm(name="norm_a_%d" % L)(X)
            Q = nn.Dense(self.DM, name="Q_%d" % L)(X)
            K = nn.Dense(self.DM, name="K_%d" % L)(X)
            V = nn.Dense(self.DM, name="V_%d" % L)(X)
            HD = self.DM // self.NH
            Q = jnp.moveaxis(jnp.reshape(Q, (-1, self.NH, HD)), 1, 0)
            K = jnp.moveaxis(jnp.reshape(K, (-1, self.NH, HD)), 1, 0)
            V = jnp.moveaxis(jnp.reshape(V, (-1, self.NH, HD)), 1, 0)
            SC = jnp.matmul(Q, K.transpose((0, 2, 1)))
            SC = SC / (HD ** 0.5)
            A = jnp.exp(SC - jnp.max(SC, axis=2, keepdims=True))
            A = A / jnp.sum(A, axis=2, keepdims=True)
            Z = jnp.matmul(A, V)
            Z = jnp.reshape(jnp.moveaxis(Z, 0, 1), (-1, self.DM))
            Z = nn.Dense(self.DM, name="O_%d" % L)(Z)
            X = X_old + Z
            X_old = X
            X = nn.LayerNorm(name="norm_b_%d" % L)(X)
            X = nn.Dense(self.FF, name="up_%d" % L)(X)
            X = nn.relu(X)
            X = nn.Dense(self.DM, name="down_%d" % L)(X)
            X = X_old + X
        X = nn.LayerNorm(name="norm_last")(X)
        OUT = X[0]
        OUT = nn.Dense(self.NC, name="logits")(OUT)
        print("logits", OUT.shape)
        return OUT


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    k = jax.random.PRNGKey(seed)
    m = VIT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    w = m.init(k, image)
    y = m.apply(w, image)
    jax.debug.print("mean logit {m}", m=y.mean())
    return y
