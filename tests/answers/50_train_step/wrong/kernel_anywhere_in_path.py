"""Asks if 'kernel' occurs anywhere in the path string: modules called kernel_... match."""
import jax
import jax.numpy as jnp
import optax
from jax.tree_util import tree_map_with_path, keystr


def learning_rate_schedule(base_lr, warmup_steps, total_steps):
    return optax.warmup_cosine_decay_schedule(0.0, base_lr, warmup_steps, total_steps)


def weight_decay_mask(params):
    return tree_map_with_path(lambda path, leaf: "kernel" in keystr(path), params)


def make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm):
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.adamw(learning_rate_schedule(base_lr, warmup_steps, total_steps), weight_decay=weight_decay,
                    mask=weight_decay_mask))


class Trainer:
    def __init__(self, smoothing):
        self.smoothing = smoothing

    def loss(self, params, apply_fn, batch):
        logits = apply_fn({"params": params}, batch["image"])
        labels = jax.nn.one_hot(batch["label"], logits.shape[-1])
        labels = labels * (1 - self.smoothing) + self.smoothing / logits.shape[-1]
        loss = -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits, -1), -1))
        return loss, jnp.mean(logits.argmax(-1) == batch["label"])

    def step(self, state, batch):
        (loss, acc), grads = jax.value_and_grad(self.loss, has_aux=True)(state.params, state.apply_fn, batch)
        return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": acc}


def train_step(state, batch, label_smoothing=0.1):
    return Trainer(label_smoothing).step(state, batch)
