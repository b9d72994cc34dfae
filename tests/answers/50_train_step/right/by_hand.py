"""Schedule, mask, smoothing and cross-entropy written by hand; the optimiser chained from its parts."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    def lr(step):
        step = jnp.asarray(step, jnp.float32)
        warm = base_lr * step / max(warmup_steps, 1)
        progress = jnp.clip((step - warmup_steps) / max(total_steps - warmup_steps, 1), 0.0, 1.0)
        cosine = base_lr * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
        return jnp.where(step < warmup_steps, warm, cosine)

    return lr


def weight_decay_mask(params):
    """recursion over the nested dict"""
    marked = {}
    for name, value in params.items():
        if hasattr(value, "items"):
            marked[name] = weight_decay_mask(value)
        else:
            marked[name] = name == "kernel"
    return marked


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    schedule = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
        optax.add_decayed_weights(weight_decay, mask=weight_decay_mask),
        optax.scale_by_schedule(lambda count: -schedule(count)),
    )


def cross_entropy(logits, labels, smoothing):
    log_p = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)
    nll = -jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]
    uniform = -log_p.mean(axis=1)
    return ((1 - smoothing) * nll + smoothing * uniform).mean()


def train_step(state, batch, label_smoothing=0.1):
    images, labels = batch["image"], batch["label"]
    loss, grads = jax.value_and_grad(
        lambda p: cross_entropy(state.apply_fn({"params": p}, images), labels, label_smoothing))(state.params)
    logits = state.apply_fn({"params": state.params}, images)        # once more, for the accuracy
    hits = (logits.argmax(axis=1) == labels).astype(jnp.float32)
    return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": hits.sum() / hits.size}
