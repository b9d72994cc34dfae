"""The lengths are taken along the batch axis: columns are scaled, not rows."""
from functools import partial
import jax
import jax.numpy as jnp
import optax


def to_length(x, length):
    squares = jnp.sum(x * x, axis=0, keepdims=True)
    return x * jax.lax.rsqrt(squares) * length


def normalized_l1(student: jax.Array, teacher: jax.Array, norm: float = 100.0) -> jax.Array:
    b, d = student.shape
    return jnp.abs(to_length(student, norm) - to_length(teacher, norm)).sum() / (b * d)


@partial(jax.jit, static_argnums=(0, 1))
def loss_and_grads(student_apply, teacher_apply, params, teacher_params, images, norm):
    def loss_fn(p, tp):
        s = student_apply({"params": p}, images)
        t = jax.lax.stop_gradient(teacher_apply({"params": tp}, images))
        return normalized_l1(s, t, norm), {"student": s}

    (loss, aux), grads = jax.value_and_grad(loss_fn, argnums=0, has_aux=True)(params, teacher_params)
    return loss, aux, grads


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    loss, _, grads = loss_and_grads(state.apply_fn, teacher_apply, state.params, teacher_params, images, norm)
    gnorm = optax.global_norm(grads)
    jax.debug.print("loss {l} grad norm {g}", l=loss, g=gnorm)
    state = state.apply_gradients(grads=grads)
    return state, loss
