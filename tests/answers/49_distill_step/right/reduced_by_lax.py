"""By lax throughout: sums by lax.reduce with an initial value that is computed."""

# both models in one function, stop_gradient on everything of the teacher; the loss by lax ops
from jax import lax
import jax, jax.numpy as jnp

def _rows(x, norm):
    sq = lax.reduce(lax.integer_pow(x, 2), jnp.zeros((), x.dtype), lax.add, (1,))
    inv = lax.div(jnp.asarray(norm, x.dtype), lax.sqrt(sq))
    return lax.mul(x, lax.broadcast_in_dim(inv, x.shape, (0,)))

def normalized_l1(student, teacher, norm=100.0):
    d = lax.abs(lax.sub(_rows(student, norm), _rows(teacher, norm)))
    return lax.div(lax.reduce(d, jnp.zeros((), d.dtype), lax.add, (0, 1)), jnp.asarray(d.size, d.dtype))

def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    teacher_params, images_t = lax.stop_gradient((teacher_params, images))
    t = lax.optimization_barrier(teacher_apply({"params": teacher_params}, images_t))
    grad_fn = jax.grad(lambda p: 2 * (normalized_l1(state.apply_fn({"params": p}, images), t, norm),), has_aux=True)
    grads, loss = grad_fn(state.params)
    return state.apply_gradients(grads=grads), loss
