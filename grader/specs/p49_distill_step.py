"""Problem 49: one step of distillation, on small models that this spec brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import (
    ArraySpec,
    Contract,
    Edit,
    Pitfall,
    Problem,
    Property,
    Run,
    Sizes,
    Stage,
    Variant,
)
from grader.specs.claims import same
from grader.specs.shapes import tells_apart

STUDENT_LENGTH = "jnp.linalg.norm(student, axis=-1, keepdims=True)"
TEACHER_LENGTH = "jnp.linalg.norm(teacher, axis=-1, keepdims=True)"
STUDENT_SCALED = "norm * student / student_length"
TEACHER_SCALED = "norm * teacher / teacher_length"
LOSS = "jnp.abs(student_scaled - teacher_scaled).mean()"
TARGETS = 'jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))'
EMBEDDINGS = 'checkpoint_name(state.apply_fn({"params": params}, images), "embeddings")'
LOSS_OF = "return normalized_l1(embeddings, targets, norm)"
RESULT = "return state.apply_gradients(grads=gradients), loss"

STEPS = 3
WEIGHTS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")


def _derive(fields: Mapping[str, Any]) -> Sizes:
    return {**fields, "pixels": fields["height"] * fields["width"] * fields["channels"]}


def _tells(sizes: Sizes) -> bool:
    lengths = (sizes["batch"], sizes["hidden"], sizes["embedding"], sizes["pixels"], STEPS)
    return tells_apart(*lengths) and sizes["height"] != sizes["width"]


def _symbols(sizes: Sizes) -> dict[str, int]:
    return {"B": sizes["batch"], "D": sizes["embedding"]}


def _embeddings(sizes: Sizes) -> dict[str, ArraySpec]:
    """Rows of different lengths; the teacher's are longer, so that scaling them matters."""
    shape = (sizes["batch"], sizes["embedding"])
    return {"student": ArraySpec(shape, scale=3.0), "teacher": ArraySpec(shape, scale=10.0)}


def _images_and_weights(sizes: Sizes) -> dict[str, ArraySpec]:
    batch = (sizes["batch"], sizes["height"], sizes["width"], sizes["channels"])
    shapes = {
        "hidden/kernel": ArraySpec((sizes["pixels"], sizes["hidden"]), scale=0.25),
        "hidden/bias": ArraySpec((sizes["hidden"],)),
        "output/kernel": ArraySpec((sizes["hidden"], sizes["embedding"]), scale=4.0),
        "output/bias": ArraySpec((sizes["embedding"],), scale=2.0),
    }
    weights = {f"{who} {name}": shapes[name] for who in ("student", "teacher") for name in WEIGHTS}
    return {"images": ArraySpec((STEPS, *batch)), **weights}


def _params(arrays: Mapping[str, Any], who: str) -> dict[str, dict[str, Any]]:
    return {
        layer: {kind: arrays[f"{who} {layer}/{kind}"] for kind in ("kernel", "bias")}
        for layer in ("hidden", "output")
    }


def _mlp(variables: Mapping[str, Any], images: Any, activation: Callable[[Any], Any]) -> Any:
    if images.ndim != 4:
        raise ValueError(f"the models map a batch (B, H, W, C); they were given {images.shape}")
    hidden, output = variables["params"]["hidden"], variables["params"]["output"]
    x = images.reshape(images.shape[0], -1)
    x = activation(x @ hidden["kernel"] + hidden["bias"])
    return x @ output["kernel"] + output["bias"]


def _student_apply(variables: Mapping[str, Any], images: Any) -> Any:
    import jax.numpy as jnp

    return _mlp(variables, images, jnp.tanh)


def _teacher_apply(variables: Mapping[str, Any], images: Any) -> Any:
    import jax.numpy as jnp

    return _mlp(variables, images, jnp.sin)


def _state_and_loss(result: Any, before: Any) -> tuple[Any, Any]:
    """The two results of ``distill_step``, or an error that says what is wrong with them."""
    import jax
    from flax.training.train_state import TrainState

    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError("distill_step returns a pair, (new_state, loss)")
    state, loss = result
    if not isinstance(state, TrainState):
        raise TypeError("distill_step returns (new_state, loss); the first one is no TrainState")
    old_tree: Any = jax.tree.structure(before.params)
    if jax.tree.structure(state.params) != old_tree:
        raise TypeError("new_state.params is not a tree of the same parameters as state.params")
    return state, loss


def _call_loss(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The loss of one batch, with and without ``norm``."""
    student, teacher = arrays["student"], arrays["teacher"]
    return {
        "loss": function(student, teacher, sizes["norm"]),
        "loss with the default norm": function(student, teacher),
    }


def _call_step(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """Three steps under ``jax.jit``, and the gradient that the teacher must not get.

    The optimiser has a memory (momentum) and looks at the parameters (decay), and unlike Adam
    it does not turn rounding noise into full steps.
    """
    import jax
    import jax.numpy as jnp
    import optax
    from flax.training.train_state import TrainState

    traces = 0

    def step(state: Any, teacher: Any, images: Any) -> tuple[Any, Any]:
        nonlocal traces
        traces += 1
        result = function(state, _teacher_apply, teacher, images, sizes["norm"])
        return _state_and_loss(result, state)

    def loss_of_teacher(teacher: Any) -> Any:
        result = function(start, _teacher_apply, teacher, arrays["images"][0])
        return _state_and_loss(result, start)[1]

    optimiser = optax.chain(optax.add_decayed_weights(0.125), optax.sgd(0.125, momentum=0.5))
    teacher = _params(arrays, "teacher")
    start = TrainState.create(
        apply_fn=_student_apply, params=_params(arrays, "student"), tx=optimiser
    ).replace(step=jnp.zeros((), jnp.int32))

    compiled = jax.jit(step)
    state, states, losses = start, [], []
    for i in range(STEPS):
        state, loss = compiled(state, teacher, arrays["images"][i])
        states.append(state)
        losses.append(loss)
    default_loss, gradient = jax.value_and_grad(loss_of_teacher)(teacher)

    seen = {
        "loss before each step": jnp.stack(losses),
        "loss with the default norm": default_loss,
        "step counter after each step": jnp.stack([state.step for state in states]),
        "times the step is traced for three calls": jnp.asarray(traces),
    }
    for name in WEIGHTS:
        layer, kind = name.split("/")
        weights = [state.params[layer][kind] for state in states]
        seen[f"student's {name} after each step"] = jnp.stack(weights)
        seen[f"teacher's gradient for {name}"] = gradient[layer][kind]
    return seen


STEP_OUTPUTS = tuple(
    sorted(
        [
            "loss before each step",
            "loss with the default norm",
            "step counter after each step",
            "times the step is traced for three calls",
            *(f"student's {name} after each step" for name in WEIGHTS),
            *(f"teacher's gradient for {name}" for name in WEIGHTS),
        ]
    )
)


def _parallel(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    losses = run({"student": 0.25 * arrays["teacher"], "teacher": arrays["teacher"]})
    return all(abs(loss) < 1e-6 for loss in losses)


def _scale_free(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    plain = run(arrays)
    scaled = run({"student": 2.0 * arrays["student"], "teacher": 0.5 * arrays["teacher"]})
    return all(same(one, other) for one, other in zip(plain, scaled, strict=True))


PROBLEM = Problem(
    number=49,
    slug="distill_step",
    title="One step of distillation with a normalised L1 loss",
    teaches="a loss between embeddings, what is differentiated and what is not, TrainState",
    contracts=(
        Contract(
            function="normalized_l1",
            arguments=("student", "teacher", "norm"),
            outputs=("loss", "loss with the default norm"),
            arrays=_embeddings,
            call=_call_loss,
            creates_parameters=False,
            properties=(
                Property("the loss of parallel embeddings is 0", _parallel),
                Property("scaling either side changes nothing", _scale_free),
            ),
        ),
        Contract(
            function="distill_step",
            arguments=("state", "teacher_apply", "teacher_params", "images", "norm"),
            outputs=STEP_OUTPUTS,
            arrays=_images_and_weights,
            call=_call_step,
            creates_parameters=False,
            weight=2.0,
        ),
    ),
    fields={
        "batch": range(2, 7),
        "height": range(1, 5),
        "width": range(1, 5),
        "channels": range(1, 4),
        "hidden": range(4, 9),
        "embedding": range(4, 9),
        "norm": (10.0, 2.0, 64.0),
    },
    derive=_derive,
    tells=_tells,
    corners=(
        {
            "batch": 1,
            "height": 2,
            "width": 2,
            "channels": 1,
            "hidden": 5,
            "embedding": 2,
            "norm": 100.0,
        },
        {
            "batch": 9,
            "height": 1,
            "width": 1,
            "channels": 3,
            "hidden": 4,
            "embedding": 1,
            "norm": 10.0,
        },
    ),
    symbols=_symbols,
    stages=(
        Stage("targets", "teacher's embeddings, step {i}"),
        Stage("embeddings", "student's embeddings, step {i}"),
        Stage("student_scaled", "student's embeddings, scaled"),
        Stage("teacher_scaled", "teacher's embeddings, scaled"),
        Stage("loss", "loss"),
    ),
    variants=(
        Variant(
            id="teacher-differentiable",
            remark=(
                "the loss could be differentiated with respect to the teacher's parameters; "
                "nothing here does, and marking the targets as constants makes sure of it"
            ),
            edits=(Edit(TARGETS, 'teacher_apply({"params": teacher_params}, images)'),),
        ),
    ),
    pitfalls=(
        Pitfall(
            id="norm-ignored",
            title="the rows are scaled to length 1, whatever norm is",
            advice=(
                "Length 1 is only half of the way: afterwards every row has the length norm. The "
                "loss comes out too small by that factor, and the gradients with it."
            ),
            edits=(
                Edit(STUDENT_SCALED, "student / student_length"),
                Edit(TEACHER_SCALED, "teacher / teacher_length"),
            ),
            stage="student_scaled",
            hints=(
                "By which factor is your loss wrong?",
                "How long are your rows after they have been scaled?",
            ),
        ),
        Pitfall(
            id="default-norm",
            title="without the argument, norm is 1 and not 100",
            advice=(
                "The contract gives norm a default, and it is 100 in both functions. Called "
                "without it, yours does something else than the task says."
            ),
            edits=(
                Edit('"B D"], norm: float = 100.0', '"B D"], norm: float = 1.0'),
                Edit("    norm: float = 100.0,\n", "    norm: float = 1.0,\n"),
            ),
            stage="student_scaled",
            hints=(
                "With norm given you are right. What if it is left out?",
                "Compare the signatures with those of the contract.",
            ),
        ),
        Pitfall(
            id="teacher-unscaled",
            title="only the student's rows are scaled, the teacher's are not",
            advice=(
                "The lengths of the teacher's embeddings mean nothing to the student. Only when "
                "both have the same length does the difference speak of directions alone."
            ),
            edits=(Edit(TEACHER_SCALED, "teacher"),),
            stage="teacher_scaled",
            hints=(
                "Double the teacher's embeddings. Does your loss change?",
                "What is done to one of the two is done to the other.",
            ),
        ),
        Pitfall(
            id="unscaled",
            title="neither of the two is scaled: a plain L1 distance",
            advice=(
                "The loss should not change when an embedding becomes longer without turning. "
                "A plain distance punishes the student for its length."
            ),
            edits=(Edit(STUDENT_SCALED, "student"), Edit(TEACHER_SCALED, "teacher")),
            stage="student_scaled",
            hints=(
                "Double the student's embeddings. Does your loss change?",
                "Two steps come before the difference is taken.",
            ),
        ),
        Pitfall(
            id="l1-length",
            title="the length of a row is the sum of its absolute values",
            advice=(
                "L1 is how the two vectors are compared, not how they are measured. The length "
                "of a row is the ordinary, Euclidean one."
            ),
            edits=(
                Edit(STUDENT_LENGTH, "jnp.abs(student).sum(axis=-1, keepdims=True)"),
                Edit(TEACHER_LENGTH, "jnp.abs(teacher).sum(axis=-1, keepdims=True)"),
            ),
            stage="student_scaled",
            hints=(
                "How long is the vector (3, 4)?",
                "In the walk-through (3, 4) is divided by 5. By what do you divide it?",
            ),
        ),
        Pitfall(
            id="squared-length",
            title="the rows are divided by their squared length",
            advice=(
                "The sum of squares is the square of the length. Divided by it, long rows come "
                "out shorter than short ones."
            ),
            edits=(
                Edit(STUDENT_LENGTH, "jnp.square(student).sum(axis=-1, keepdims=True)"),
                Edit(TEACHER_LENGTH, "jnp.square(teacher).sum(axis=-1, keepdims=True)"),
            ),
            stage="student_scaled",
            hints=(
                "How long is the vector (3, 4), and what do you divide it by?",
                "A root is missing.",
            ),
        ),
        Pitfall(
            id="matrix-length",
            title="the whole batch is scaled by one common length",
            advice=(
                "Every image has an embedding of its own, and every row its own length. Measured "
                "together, an image with a long embedding drowns the others."
            ),
            edits=(
                Edit(STUDENT_LENGTH, "jnp.linalg.norm(student)"),
                Edit(TEACHER_LENGTH, "jnp.linalg.norm(teacher)"),
            ),
            stage="student_scaled",
            hints=(
                "With a single image in the batch you are right. Why not with two?",
                "How many lengths are there for B embeddings?",
            ),
        ),
        Pitfall(
            id="column-length",
            title="the columns are scaled, not the rows",
            advice=(
                "A column holds one channel of all the images. The rows are the embeddings, and "
                "it is their length that should be equal."
            ),
            edits=(
                Edit(STUDENT_LENGTH, STUDENT_LENGTH.replace("-1", "0")),
                Edit(TEACHER_LENGTH, TEACHER_LENGTH.replace("-1", "0")),
            ),
            stage="student_scaled",
            hints=(
                "Which shape do your lengths have?",
                "Over which axis does one go to measure one embedding?",
            ),
        ),
        Pitfall(
            id="squared-difference",
            title="the differences are squared",
            advice=(
                "That is the mean squared error. L1 takes the absolute value, so that a large "
                "difference does not count more than its share."
            ),
            edits=(Edit(LOSS, LOSS.replace("abs", "square")),),
            stage="loss",
            hints=(
                "What does the 1 in L1 stand for?",
                "In the walk-through the differences 6 and 2 give 4.",
            ),
        ),
        Pitfall(
            id="euclidean-distance",
            title="the Euclidean distance of the rows is averaged",
            advice=(
                "The difference of two rows is not measured as one vector here; each of its "
                "numbers counts with its absolute value."
            ),
            edits=(Edit(LOSS, "jnp.linalg.norm(student_scaled - teacher_scaled, axis=-1).mean()"),),
            stage="loss",
            hints=(
                "In the walk-through the differences 6 and 2 give 4. What do you get?",
                "Mean over B and D: how many numbers does your mean go over?",
            ),
        ),
        Pitfall(
            id="summed-features",
            title="the differences are summed over the features",
            advice=(
                "The mean goes over both axes. With a sum over D the loss grows with the width "
                "of the embedding."
            ),
            edits=(Edit(LOSS, LOSS.replace(".mean()", ".sum(axis=-1).mean()")),),
            stage="loss",
            hints=(
                "By which factor is your loss too large? Look at the shapes.",
                "Mean over B and D.",
            ),
        ),
        Pitfall(
            id="summed",
            title="the differences are summed and not averaged",
            advice=(
                "A sum grows with the batch and the width, and with it the gradients: the "
                "learning rate would have to be found anew for every batch size."
            ),
            edits=(Edit(LOSS, LOSS.replace("mean", "sum")),),
            stage="loss",
            hints=(
                "By which factor is your loss too large? Look at the shapes.",
                "Should the loss of a batch double if every image is in it twice?",
            ),
        ),
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
            title="the student is not run with the parameters that are differentiated",
            advice=(
                "Inside the function that you differentiate, the embeddings come from other "
                "parameters than its argument. To JAX they are constants, and the gradient is 0."
            ),
            edits=(
                Edit(EMBEDDINGS, EMBEDDINGS.replace('"params": params', '"params": state.params')),
            ),
            stage="embeddings",
            hints=(
                "Print the norm of your gradients.",
                "On what does the result of the differentiated function depend?",
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
    ),
    hints=(
        "Begin with the loss and the numbers of the walk-through. It is graded on its own.",
        (
            "In the step, ask of every value: may it change with the student's parameters? What "
            "may belongs into the function that you differentiate, what may not stays outside."
        ),
        (
            "The teacher's embeddings, as constants; a function from parameters to the loss; its "
            "value and its gradient in one call; and the state's own way to apply a gradient."
        ),
    ),
)
