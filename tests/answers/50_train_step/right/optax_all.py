"""optax for everything: warmup_cosine_decay_schedule, chain, smooth_labels, softmax_cross_entropy."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0, peak_value=base_lr, warmup_steps=warmup_steps, decay_steps=total_steps, end_value=0.0)


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.adamw(learning_rate_schedule(base_lr, warmup_steps, total_steps),
                    weight_decay=weight_decay, mask=weight_decay_mask),
    )


def train_step(state, batch, label_smoothing=0.1):
    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        one_hot = jax.nn.one_hot(batch["label"], logits.shape[-1])
        targets = optax.smooth_labels(one_hot, label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean(), logits

    (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    accuracy = jnp.mean(jnp.argmax(logits, axis=-1) == batch["label"])
    return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": accuracy}
