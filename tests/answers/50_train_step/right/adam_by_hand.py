"""AdamW with Adam by hand, counting in float32; the rest from optax."""

import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return optax.warmup_cosine_decay_schedule(0.0, base_lr, warmup_steps, total_steps)


def weight_decay_mask(params):
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def scale_by_adam():
    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return jnp.zeros((), jnp.int32), zeros, zeros

    def update(grads, state, params=None):
        count, mu, nu = state
        mu = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mu, grads)
        nu = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, nu, grads)
        t = (count + 1).astype(jnp.float32)

        def step(m, v):
            return m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return jax.tree.map(step, mu, nu), (count + 1, mu, nu)

    return optax.GradientTransformation(init, update)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        scale_by_adam(),
        optax.add_decayed_weights(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate_schedule(base_lr, warmup_steps, total_steps)),
    )


def train_step(state, batch, label_smoothing=0.1):
    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        labels = jax.nn.one_hot(batch["label"], logits.shape[-1])
        target = optax.smooth_labels(labels, label_smoothing)
        return optax.softmax_cross_entropy(logits, target).mean(), logits

    (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    accuracy = jnp.mean(logits.argmax(-1) == batch["label"])
    return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": accuracy}
