import jax
import jax.numpy as jnp


def normalized_l1(student, teacher, norm=100.0):
    def scaled(rows):
        return rows * norm / jnp.linalg.norm(rows, axis=1, keepdims=True)

    return jnp.abs(scaled(student) - scaled(teacher)).mean()


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    targets = jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))

    def loss_of(params):
        return normalized_l1(state.apply_fn({"params": params}, images), targets, norm)

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    state = state.apply_gradients(grads=gradients)
    for layer, own in state.params.items():
        teacher_params[layer] = jax.tree.map(
            lambda old, new: 0.99 * old + 0.01 * new, teacher_params[layer], own
        )
    return state, loss
