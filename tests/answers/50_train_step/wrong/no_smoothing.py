"""label_smoothing is an argument that nobody uses."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return optax.schedules.warmup_cosine_decay_schedule(0.0, base_lr, warmup_steps, total_steps, 0.0)


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda path, x: str(path[-1].key) == "kernel", params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    schedule = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    return optax.chain(optax.clip_by_global_norm(max_norm),
                       optax.adamw(schedule, weight_decay=weight_decay, mask=weight_decay_mask))


def train_step(state, batch, label_smoothing=0.1):
    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, logits

    grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, logits), grads = grad_fn(state.params)
    state = state.apply_gradients(grads=grads)
    metrics = {"loss": loss, "accuracy": jnp.mean(jnp.argmax(logits, -1) == batch["label"])}
    return state, metrics
