"""clip_by_global_norm stands behind AdamW and clips the updates, not the gradients."""
import jax
import jax.numpy as jnp
import optax
from flax import traverse_util


def learning_rate_schedule(base_lr: float, warmup_steps: int, total_steps: int) -> optax.Schedule:
    up = optax.linear_schedule(0.0, base_lr, warmup_steps)
    down = optax.cosine_decay_schedule(base_lr, total_steps - warmup_steps)
    return optax.join_schedules([up, down], boundaries=[warmup_steps])


def weight_decay_mask(params):
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({k: (k[-1] == "kernel") for k in flat})


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    sched = learning_rate_schedule(base_lr, warmup_steps, total_steps)
    adamw = optax.adamw(sched, weight_decay=weight_decay, mask=weight_decay_mask)
    return optax.chain(adamw, optax.clip_by_global_norm(max_norm))


def _metrics(logits, labels, label_smoothing):
    k = logits.shape[1]
    soft = jnp.full(logits.shape, label_smoothing / k)
    soft = soft.at[jnp.arange(len(labels)), labels].add(1.0 - label_smoothing)
    loss = -(soft * jax.nn.log_softmax(logits)).sum(axis=-1).mean()
    return loss, (jnp.argmax(logits, -1) == labels).mean()


@jax.jit
def train_step(state, batch, label_smoothing=0.1):
    @jax.value_and_grad
    def run(params):
        return _metrics(state.apply_fn({"params": params}, batch["image"]), batch["label"], label_smoothing)[0]

    loss, grads = run(state.params)
    _, accuracy = _metrics(state.apply_fn({"params": state.params}, batch["image"]), batch["label"], label_smoothing)
    new_state = state.apply_gradients(grads=grads)
    return new_state, {"accuracy": accuracy, "loss": loss}
