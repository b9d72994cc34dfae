"""The schedule uses Python's if on the step, which is a tracer inside jit (crash there)."""
import math
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    def schedule(step):
        if step < warmup_steps:
            return base_lr * step / warmup_steps
        progress = jnp.minimum((step - warmup_steps) / (total_steps - warmup_steps), 1.0)
        return base_lr * 0.5 * (1 + jnp.cos(math.pi * progress))
    return schedule


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.adamw(learning_rate_schedule(base_lr, warmup_steps, total_steps),
                    weight_decay=weight_decay, mask=weight_decay_mask))


def train_step(state, batch, label_smoothing=0.1):
    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        y = jax.nn.one_hot(batch["label"], logits.shape[-1])
        y = (1 - label_smoothing) * y + label_smoothing / logits.shape[-1]
        return optax.losses.softmax_cross_entropy(logits, y).mean(), logits

    (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads), {
        "loss": loss, "accuracy": jnp.mean(logits.argmax(-1) == batch["label"])}
