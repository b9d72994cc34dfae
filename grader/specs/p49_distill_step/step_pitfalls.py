"""What goes wrong in ``distill_step``."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p49_distill_step.step import TARGETS

EMBEDDINGS = 'checkpoint_name(state.apply_fn({"params": params}, images), "embeddings")'
GRADIENTS = "loss, gradients = jax.value_and_grad(loss_of)(state.params)"
LOSS_OF = "return normalized_l1(embeddings, targets, norm)"
RESULT = "return state.apply_gradients(grads=gradients), loss"

PITFALLS = (
    Pitfall(
        id="norm-not-passed",
        title="distill_step does not hand norm on to the loss",
        advice=(
            "The step takes norm as an argument, but the loss inside it is always computed "
            "with its default."
        ),
        edits=(Edit(LOSS_OF, LOSS_OF.replace(", norm)", ")")),),
        stage="student_scaled",
        hints=(
            "Call the step with two values of norm and compare the losses.",
            "Follow the argument: where in the step is it used?",
        ),
    ),
    Pitfall(
        id="teacher-with-student-weights",
        title="the teacher is run with the student's parameters",
        advice=(
            "The teacher has parameters of its own, which come as an argument. With the "
            "student's the target moves along with every step."
        ),
        edits=(Edit(TARGETS, TARGETS.replace("teacher_params", "state.params")),),
        stage="targets",
        hints=(
            "Which of the arguments does your step never use?",
            "Look at what is handed to teacher_apply.",
        ),
    ),
    Pitfall(
        id="no-gradient",
        title="the student gets no gradient",
        advice=(
            "Inside the function that you differentiate, the student's embeddings do not depend on "
            "its argument: they come from other parameters, or stop_gradient cuts them off. To JAX "
            "they are constants, and the gradient is 0."
        ),
        edits=(Edit(EMBEDDINGS, EMBEDDINGS.replace('"params": params', '"params": state.params')),),
        stage="embeddings",
        hints=(
            "Print the norm of your gradients.",
            "On what does the result of the differentiated function depend?",
        ),
    ),
    Pitfall(
        id="step-per-image",
        title="the optimiser makes a step for every image",
        advice=(
            "One call is one step: the loss is the mean over the batch, and its gradient moves the "
            "student once. Here every image moves it, so the next one meets another student."
        ),
        edits=(
            Edit(EMBEDDINGS, EMBEDDINGS.replace("images", "images[i : i + 1]")),
            Edit(LOSS_OF, LOSS_OF.replace("targets", "targets[i : i + 1]")),
            Edit(
                GRADIENTS,
                "losses = []\n"
                "    for i in range(len(images)):\n"
                f"        {GRADIENTS}\n"
                "        state = state.apply_gradients(grads=gradients)\n"
                "        losses.append(loss)",
            ),
            Edit(RESULT, "return state, jnp.mean(jnp.stack(losses))"),
        ),
        stage="embeddings",
        hints=(
            "By how much does state.step grow in one call of yours?",
            "Both models map a whole batch. What is the loss of a batch?",
        ),
    ),
    Pitfall(
        id="loss-after",
        title="the loss is computed after the step",
        advice=(
            "The loss belongs to the parameters for which the gradient was taken, those "
            "before the step. Computing it again costs a second run of the student too."
        ),
        edits=(
            Edit(
                RESULT,
                "new_state = state.apply_gradients(grads=gradients)\n"
                "    return new_state, loss_of(new_state.params)",
            ),
        ),
        hints=(
            "Your parameters are right. To which of them does your loss belong?",
            "How often does your step run the student?",
        ),
    ),
    Pitfall(
        id="old-state",
        title="the old state is returned",
        advice=(
            "A TrainState is frozen: applying gradients leaves it as it is and returns a new "
            "one. If that is dropped, nothing is ever learned."
        ),
        edits=(Edit(RESULT, "state.apply_gradients(grads=gradients)\n    return state, loss"),),
        stage="embeddings",
        hints=(
            "Compare the parameters before and after the step.",
            "What becomes of the value that apply_gradients returns?",
        ),
    ),
    Pitfall(
        id="counter-stuck",
        title="the step counter does not advance",
        advice=(
            "Parameters and optimiser move on, but state.step stays where it was. Schedules, "
            "checkpoints and logs that rely on it stand still."
        ),
        edits=(
            Edit(
                RESULT,
                "return state.apply_gradients(grads=gradients).replace(step=state.step), loss",
            ),
        ),
        hints=(
            "Which fields of a TrainState change in a step? There are three.",
            "The state can do all of it by itself, in one call.",
        ),
    ),
    Pitfall(
        id="optimiser-forgets",
        title="the optimiser's memory is thrown away",
        advice=(
            "Momentum and Adam remember earlier gradients in opt_state. The first step is "
            "right; from the second one on the memory is missing."
        ),
        edits=(
            Edit(
                RESULT,
                "new_state = state.apply_gradients(grads=gradients)\n"
                "    return new_state.replace(opt_state=state.opt_state), loss",
            ),
        ),
        stage="embeddings",
        hints=(
            "Your first step is right and the second is not. What should be carried over?",
            "Which fields of a TrainState change in a step? There are three.",
        ),
    ),
    Pitfall(
        id="optimiser-bypassed",
        title="the parameters are moved along the gradient without the optimiser",
        advice=(
            "How far and where to go is the optimiser's business: state.tx knows about "
            "momentum, decay and learning rate. Your step ignores it."
        ),
        edits=(
            Edit(
                RESULT,
                "params = jax.tree.map(lambda p, g: p - 1e-3 * g, state.params, gradients)\n"
                "    return state.replace(params=params, step=state.step + 1), loss",
            ),
        ),
        stage="embeddings",
        hints=(
            "Where does the learning rate in your step come from?",
            "The state has a method that does the whole update.",
        ),
    ),
    Pitfall(
        id="update-subtracted",
        title="the optimiser's update is subtracted from the parameters",
        advice=(
            "An update of optax has its sign already: it is added, as optax.apply_updates does. "
            "Subtracted, it makes the loss larger with every step."
        ),
        edits=(
            Edit(
                RESULT,
                "updates, memory = state.tx.update(gradients, state.opt_state, state.params)\n"
                "    params = jax.tree.map(lambda p, u: p - u, state.params, updates)\n"
                "    return state.replace(\n"
                "        step=state.step + 1, params=params, opt_state=memory\n"
                "    ), loss",
            ),
        ),
        stage="embeddings",
        hints=(
            "Repeat your step on the same images. Does the loss fall?",
            "What does optax.apply_updates do with an update?",
        ),
    ),
    Pitfall(
        id="gradient-of-the-teacher",
        title="the gradient is taken with respect to the teacher's parameters",
        advice=(
            "Your loss is right, and so is its gradient, but it belongs to the teacher's "
            "parameters. jax.grad differentiates by the first argument unless argnums says another."
        ),
        edits=(
            Edit(
                GRADIENTS,
                "def of_teacher(params):\n"
                '        targets = teacher_apply({"params": params}, images)\n'
                '        embeddings = state.apply_fn({"params": state.params}, images)\n'
                "        return normalized_l1(embeddings, targets, norm)\n\n"
                "    loss, gradients = loss_of(state.params), jax.grad(of_teacher)(teacher_params)",
            ),
        ),
        stage="embeddings",
        hints=(
            "With respect to which argument do you differentiate?",
            "Whose weights should the optimiser move, and whose gradient do you hand to it?",
        ),
    ),
    Pitfall(
        id="swapped",
        title="the two results are returned in the wrong order",
        advice="The contract asks for the new state first, then for the loss.",
        edits=(Edit(RESULT, "return loss, state.apply_gradients(grads=gradients)"),),
        check="runs",
        hints=("Compare the return line with the contract.",),
    ),
    Pitfall(
        id="python-float",
        title="the loss is turned into a Python number",
        advice=(
            "Under jax.jit the step is traced, and a traced value has no number yet. Whoever "
            "calls the step can convert the result, outside of jit."
        ),
        edits=(Edit(RESULT, RESULT.replace(", loss", ", float(loss)")),),
        check="runs",
        hints=(
            "Does your step work under jax.jit?",
            "Which of your lines needs the value of a number, and not just the number?",
        ),
    ),
)
