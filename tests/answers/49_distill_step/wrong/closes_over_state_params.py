"""The loss function ignores its argument and uses state.params: the gradient is zero."""
import jax
import jax.numpy as jnp


def normalized_l1(student, teacher, norm=100.0):
    rows = lambda a: norm * a / jnp.sqrt(jnp.sum(a ** 2, axis=1, keepdims=True))
    return jnp.mean(jnp.abs(rows(student) - rows(teacher)))


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    teacher_emb = teacher_apply({"params": teacher_params}, images)

    def loss_fn(params):
        student_emb = state.apply_fn({"params": state.params}, images)
        return normalized_l1(student_emb, teacher_emb, norm)

    grad_fn = jax.value_and_grad(loss_fn)
    loss, grads = grad_fn(state.params)
    state = state.apply_gradients(grads=grads)
    return state, loss
