"""Manual update that forgets to count the step."""
import jax
import jax.numpy as jnp
import optax


def normalized_l1(student, teacher, norm=100.0):
    def scale(v):
        return v / jnp.sqrt(jnp.einsum("bd,bd->b", v, v))[:, None]

    return norm * jnp.abs(scale(student) - scale(teacher)).mean()


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    target = teacher_apply({"params": teacher_params}, images)
    loss, pullback = jax.vjp(lambda p: normalized_l1(state.apply_fn({"params": p}, images), target, norm), state.params)
    (grads,) = pullback(jnp.ones_like(loss))
    updates, opt_state = state.tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return state.replace(params=params, opt_state=opt_state), loss
