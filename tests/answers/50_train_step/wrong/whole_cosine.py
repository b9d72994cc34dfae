"""cos(2 pi t): down to 0 in the middle and up again."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    def f(step):
        if_warm = base_lr * step / jnp.maximum(warmup_steps, 1)
        t = (step - warmup_steps) / (total_steps - warmup_steps)
        t = jnp.clip(t, 0.0, 1.0)
        if_cos = base_lr * (1 + jnp.cos(2 * jnp.pi * t)) / 2
        return jnp.where(step < warmup_steps, if_warm, if_cos)
    return f


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda p, _: p[-1].key == "kernel", params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    lr = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    return optax.chain(optax.clip_by_global_norm(max_norm),
                       optax.adamw(lr, weight_decay=weight_decay, mask=weight_decay_mask))


def train_step(state, batch, label_smoothing=0.1):
    labels = batch["label"]

    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        y = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), label_smoothing)
        return jnp.mean(optax.softmax_cross_entropy(logits, y)), logits

    (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    acc = (logits.argmax(-1) == labels).mean()
    return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": acc}
