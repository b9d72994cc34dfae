"""Differentiates with respect to student and teacher together and throws the teacher's (zero) part away."""
import jax
import jax.numpy as jnp


def l2norm(x):
    return (x ** 2).sum(-1, keepdims=True) ** 0.5


def normalized_l1(student, teacher, norm=100.0):
    total = 0.0
    for s, t in ((norm * student / l2norm(student), norm * teacher / l2norm(teacher)),):
        total = total + jnp.abs(s - t).mean(axis=1).mean(axis=0)
    return total


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    frozen = jax.tree.map(jax.lax.stop_gradient, teacher_params)

    def loss_fn(both):
        student_params, frozen_params = both
        teacher_out = jax.lax.stop_gradient(teacher_apply({"params": frozen_params}, images))
        student_out = state.apply_fn({"params": student_params}, images)
        return normalized_l1(student_out, teacher_out, norm=norm)

    loss, (grads, _unused) = jax.value_and_grad(loss_fn)((state.params, frozen))
    new_state = state.apply_gradients(grads=grads)
    print("step done")
    return new_state, loss
