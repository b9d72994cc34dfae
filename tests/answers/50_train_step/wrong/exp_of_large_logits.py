"""The logarithm of a sum of exponentials without taking out the largest: infinite for large logits."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return optax.warmup_cosine_decay_schedule(0.0, base_lr, warmup_steps, total_steps, 0.0)


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    lr = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    return optax.chain(optax.clip_by_global_norm(max_norm), optax.adamw(lr, weight_decay=weight_decay, mask=weight_decay_mask))


def train_step(state, batch, label_smoothing=0.1):
    def f(p):
        logits = state.apply_fn({"params": p}, batch["image"])
        t = optax.smooth_labels(jax.nn.one_hot(batch["label"], logits.shape[-1]), label_smoothing)
        return -(t * (logits - jnp.log(jnp.exp(logits).sum(-1, keepdims=True)))).sum(-1).mean(), logits
    (loss, logits), g = jax.value_and_grad(f, has_aux=True)(state.params)
    acc = jnp.mean(logits.argmax(-1) == batch["label"])
    new = state.apply_gradients(grads=g)
    return new, {"loss": loss, "accuracy": acc}
