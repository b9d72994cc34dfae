"""apply_fn gets the bare parameters, not {"params": ...} (crash)."""
import jax
import jax.numpy as jnp


def normalized_l1(student, teacher, norm=100.0):
    student = student * norm / jnp.linalg.norm(student, axis=-1, keepdims=True)
    teacher = teacher * norm / jnp.linalg.norm(teacher, axis=-1, keepdims=True)
    return jnp.abs(student - teacher).mean()


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    teacher = teacher_apply({"params": teacher_params}, images)

    def objective(p):
        return normalized_l1(state.apply_fn(p, images), teacher, norm)

    loss, grads = jax.value_and_grad(objective)(state.params)
    return state.apply_gradients(grads=grads), loss
