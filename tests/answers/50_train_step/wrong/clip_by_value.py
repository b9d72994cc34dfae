"""optax.clip clips each element, not the global norm."""
import jax
import jax.numpy as jnp
import optax


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    warmup = optax.linear_schedule(init_value=0.0, end_value=base_lr, transition_steps=warmup_steps)
    cosine = optax.cosine_decay_schedule(init_value=base_lr, decay_steps=total_steps - warmup_steps)
    return optax.join_schedules(schedules=[warmup, cosine], boundaries=[warmup_steps])


def weight_decay_mask(params):
    def mark(tree):
        return {k: mark(v) if isinstance(v, dict) else k == "kernel" for k, v in tree.items()}
    return mark(params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    return optax.chain(
        optax.clip(max_norm),
        optax.adamw(learning_rate=learning_rate_schedule(base_lr, warmup_steps, total_steps),
                    weight_decay=weight_decay, mask=weight_decay_mask),
    )


@jax.jit
def train_step(state, batch, label_smoothing=0.1):
    def f(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        n = logits.shape[-1]
        logp = jax.nn.log_softmax(logits)
        hard = -logp[jnp.arange(logits.shape[0]), batch["label"]]
        soft = -jnp.sum(logp, axis=-1) / n
        return jnp.mean(hard * (1 - label_smoothing) + soft * label_smoothing), logits

    (loss, logits), grads = jax.value_and_grad(f, has_aux=True)(state.params)
    state = state.apply_gradients(grads=grads)
    return state, {"loss": loss, "accuracy": jnp.mean(jnp.argmax(logits, axis=1) == batch["label"])}
