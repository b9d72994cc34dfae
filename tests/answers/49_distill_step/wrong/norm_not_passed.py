"""distill_step has norm as an argument but always uses the default 100."""
import jax
import jax.numpy as jnp


def one_pair(s, t, norm):
    s = s / jnp.maximum(jnp.linalg.norm(s), 1e-12)
    t = t / jnp.maximum(jnp.linalg.norm(t), 1e-12)
    return jnp.mean(jnp.abs(norm * s - norm * t))


def normalized_l1(student, teacher, norm=100.0):
    return jax.vmap(one_pair, in_axes=(0, 0, None))(student, teacher, norm).mean()


def distill_step(state, teacher_apply, teacher_params, images, norm=100.0):
    def f(params, teacher_vectors):
        return normalized_l1(state.apply_fn({"params": params}, images), teacher_vectors)

    teacher_vectors = jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))
    before = f(state.params, teacher_vectors)
    gradient = jax.grad(f)(state.params, teacher_vectors)
    return state.apply_gradients(grads=gradient), before
