"""Returns the loss of the updated parameters."""
import jax
import jax.numpy as jnp


def normalized_l1(student, teacher, norm=100.0):
    s = norm * student / jnp.linalg.norm(student, axis=-1, keepdims=True)
    t = norm * teacher / jnp.linalg.norm(teacher, axis=-1, keepdims=True)
    return jnp.mean(jnp.abs(s - t))


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    target = teacher_apply({"params": teacher_params}, images)

    def loss_fn(params):
        prediction = state.apply_fn({"params": params}, images)
        return normalized_l1(prediction, target, norm)

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    state = state.apply_gradients(grads=grads)
    loss = loss_fn(state.params)
    return state, loss
