"""Own clipping as an optax.GradientTransformation, decay passed as a mask tree made lazily, explicit vjp."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    def schedule(count):
        count = jnp.asarray(count)
        frac = (count - warmup_steps) / (total_steps - warmup_steps)
        after = 0.5 * base_lr * (1 + jnp.cos(jnp.pi * jnp.clip(frac, 0, 1)))
        if warmup_steps == 0:
            return after
        return jax.lax.select(count < warmup_steps, jnp.float32(base_lr * count / warmup_steps), jnp.float32(after))
    return schedule


def weight_decay_mask(params):
    names = jax.tree_util.tree_map_with_path(lambda kp, x: jax.tree_util.keystr(kp[-1:]), params)
    return jax.tree.map(lambda s: s == "['kernel']", names)


def clip(max_norm):
    def init(params):
        return optax.EmptyState()

    def update(grads, state, params=None):
        total = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(grads)))
        factor = jnp.minimum(1.0, max_norm / (total + 1e-12))
        return jax.tree.map(lambda g: g * factor, grads), state

    return optax.GradientTransformation(init, update)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    return optax.chain(
        clip(max_norm),
        optax.scale_by_adam(),
        optax.masked(optax.add_decayed_weights(weight_decay), weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate_schedule(base_lr, warmup_steps, total_steps)),
    )


def train_step(state, batch, label_smoothing=0.1):
    x, y = batch["image"], batch["label"]

    def forward(p):
        return state.apply_fn({"params": p}, x)

    logits, back = jax.vjp(forward, state.params)
    B, K = logits.shape
    target = (1 - label_smoothing) * jax.nn.one_hot(y, K) + label_smoothing / K
    probs = jax.nn.softmax(logits, axis=-1)
    loss = -jnp.sum(target * jax.nn.log_softmax(logits)) / B
    (grads,) = back((probs - target) / B)        # derivative of the mean cross-entropy, by hand
    return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": jnp.mean(probs.argmax(-1) == y)}
