"""A kernel with one axis is not decayed."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return optax.warmup_cosine_decay_schedule(0.0, base_lr, warmup_steps, total_steps, 0.0)


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda path, x: path[-1].key == "kernel" and x.ndim > 1, params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    lr = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    return optax.chain(optax.clip_by_global_norm(max_norm), optax.adamw(lr, weight_decay=weight_decay, mask=weight_decay_mask))


def train_step(state, batch, label_smoothing=0.1):
    def f(p):
        logits = state.apply_fn({"params": p}, batch["image"])
        t = optax.smooth_labels(jax.nn.one_hot(batch["label"], logits.shape[-1]), label_smoothing)
        return optax.softmax_cross_entropy(logits, t).mean(), logits
    (loss, logits), g = jax.value_and_grad(f, has_aux=True)(state.params)
    return state.apply_gradients(grads=g), {"loss": loss, "accuracy": jnp.mean(logits.argmax(-1) == batch["label"])}
