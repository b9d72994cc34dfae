"""Schedule as a frozen dataclass with __call__; optax.inject_hyperparams around AdamW; per-example loss with vmap; manual update."""
import dataclasses
import math
import jax
import jax.numpy as jnp
import optax


@dataclasses.dataclass(frozen=True)
class WarmupCosine:
    base_lr: float
    warmup: int
    total: int

    def __call__(self, t):
        t = jnp.minimum(t, self.total)
        ramp = t / self.warmup if self.warmup > 0 else 1.0
        phase = math.pi * (t - self.warmup) / (self.total - self.warmup)
        return self.base_lr * jnp.where(t < self.warmup, ramp, jnp.cos(phase / 2) ** 2)    # (1 + cos a) / 2 = cos(a/2)^2


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return WarmupCosine(base_lr, warmup_steps, total_steps)


def is_kernel(path, leaf):
    del leaf
    return getattr(path[-1], "key", None) == "kernel"


def weight_decay_mask(params):
    leaves, treedef = jax.tree_util.tree_flatten_with_path(params)
    return treedef.unflatten([is_kernel(p, l) for p, l in leaves])


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    adamw = optax.inject_hyperparams(optax.adamw, static_args=("mask", "weight_decay"))
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        adamw(learning_rate=learning_rate_schedule(base_lr, warmup_steps, total_steps),
              weight_decay=weight_decay, mask=weight_decay_mask))


def one_example(logits, label, eps):
    k = logits.shape[0]
    target = eps / k + (1.0 - eps) * (jnp.arange(k) == label)
    return -jnp.dot(target, jax.nn.log_softmax(logits)), jnp.argmax(logits) == label


def train_step(state, batch, label_smoothing=0.1):
    def objective(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        losses, right = jax.vmap(one_example, in_axes=(0, 0, None))(logits, batch["label"], label_smoothing)
        return losses.mean(), right.mean()

    (loss, accuracy), g = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = state.tx.update(g, state.opt_state, state.params)
    state = state.replace(step=state.step + 1, params=optax.apply_updates(state.params, updates), opt_state=opt_state)
    return state, dict(loss=loss, accuracy=accuracy)
