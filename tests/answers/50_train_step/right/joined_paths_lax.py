"""The step of the schedule as the array that it is (astype, lax.select); the mask by paths joined with slashes."""
import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from jax import lax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    def schedule(step):
        t = step.astype(jnp.float32)
        rising = base_lr * t / max(1, warmup_steps)
        through = lax.clamp(0.0, (t - warmup_steps) / max(1, total_steps - warmup_steps), 1.0)
        falling = 0.5 * base_lr * (1.0 + lax.cos(jnp.pi * through))
        return lax.select(step < warmup_steps, rising, falling)

    return schedule


def weight_decay_mask(params):
    joined = traverse_util.flatten_dict(params, sep="/")
    marked = {path: path.split("/")[-1] == "kernel" for path in joined}
    return traverse_util.unflatten_dict(marked, sep="/")


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    rate = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    adamw = optax.adamw(rate, weight_decay=weight_decay, mask=weight_decay_mask)
    return optax.chain(optax.clip_by_global_norm(max_norm), adamw)


def train_step(state, batch, label_smoothing=0.1):
    def objective(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        wanted = optax.smooth_labels(jax.nn.one_hot(batch["label"], logits.shape[1]), label_smoothing)
        return optax.softmax_cross_entropy(logits, wanted).mean(), logits

    (loss, logits), slope = jax.value_and_grad(objective, has_aux=True)(state.params)
    hits = jnp.argmax(logits, 1) == batch["label"]
    return state.apply_gradients(grads=slope), {"loss": loss, "accuracy": hits.mean()}
