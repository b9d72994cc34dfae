"""What goes wrong in ``train_step`` beside its loss: metrics and the new state."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.p50_train_step.loss_pitfalls import MEAN

ACCURACY = 'jnp.mean(logits.argmax(axis=-1) == batch["label"])'
RESULT = 'return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}'

PITFALLS = (
    Pitfall(
        id="accuracy-count",
        title="the accuracy is a count, not a share",
        advice=(
            "A count can only be read by someone who knows the size of the batch. The "
            "accuracy is a float between 0 and 1."
        ),
        edits=(Edit(ACCURACY, ACCURACY.replace("mean", "sum")),),
        check="shape",
        hints=(
            "Can your accuracy be larger than 1?",
            "Divide by something, or let a function do it.",
        ),
    ),
    Pitfall(
        id="argmax-over-batch",
        title="the argmax goes over the batch, not over the classes",
        advice=(
            "For every image you want its best class. Over the other axis you get the best "
            "image of every class, K numbers instead of B."
        ),
        edits=(Edit(ACCURACY, ACCURACY.replace("axis=-1", "axis=0")),),
        check="runs",
        hints=(
            "Which shape do your predictions have?",
            "The predictions are compared with B labels.",
        ),
    ),
    Pitfall(
        id="metrics-after",
        title="loss and accuracy are computed after the step",
        advice=(
            "Both belong to the parameters for which the gradient was taken. Computing them "
            "again costs a second run of the model too."
        ),
        edits=(
            Edit(
                RESULT,
                "state = state.apply_gradients(grads=gradients)\n"
                "    loss, logits = loss_of(state.params)\n"
                f"    accuracy = {ACCURACY}\n"
                '    return state, {"loss": loss, "accuracy": accuracy}',
            ),
        ),
        hints=(
            "Your parameters are right. To which of them do your metrics belong?",
            "How often does your step run the model?",
        ),
    ),
    Pitfall(
        id="loss-after",
        title="the loss is computed after the step",
        advice=(
            "It belongs to the parameters for which the gradient was taken, as the accuracy does. "
            "Computing it again costs a second run of the model too."
        ),
        edits=(
            Edit(
                RESULT,
                "state = state.apply_gradients(grads=gradients)\n"
                "    loss, _ = loss_of(state.params)\n"
                '    return state, {"loss": loss, "accuracy": accuracy}',
            ),
        ),
        hints=(
            "Your accuracy is right. To which parameters does your loss belong?",
            "How often does your step run the model?",
        ),
    ),
    Pitfall(
        id="loss-unsmoothed",
        title="the loss that is reported has no label smoothing",
        advice=(
            "The gradient is that of the smoothed loss, and so is the loss to report: one value, "
            "which value_and_grad gives together with its gradient."
        ),
        edits=(
            Edit(MEAN, f"{MEAN[:-6]}(logits, one_hot)"),
            Edit(
                RESULT,
                RESULT.replace(
                    '"loss": loss', '"loss": optax.softmax_cross_entropy(*logits).mean()'
                ),
            ),
            Edit(ACCURACY, ACCURACY.replace("logits", "logits[0]")),
        ),
        hints=(
            "The new state is right. How was the loss computed from which the gradient comes?",
            "How often does your step compute a cross-entropy?",
        ),
    ),
    Pitfall(
        id="accuracy-after",
        title="the accuracy is computed after the step",
        advice=(
            "It belongs to the parameters for which the gradient was taken, as the loss does. "
            "Computing the logits again costs a second run of the model too."
        ),
        edits=(
            Edit(
                RESULT,
                "state = state.apply_gradients(grads=gradients)\n"
                "    _, logits = loss_of(state.params)\n"
                f"    accuracy = {ACCURACY}\n"
                '    return state, {"loss": loss, "accuracy": accuracy}',
            ),
        ),
        hints=(
            "Your loss is right. To which parameters does your accuracy belong?",
            "How often does your step run the model?",
        ),
    ),
    Pitfall(
        id="accuracy-percent",
        title="the accuracy is in per cent",
        advice="It is a share, between 0 and 1; how it is printed is for others to decide.",
        edits=(Edit(ACCURACY, f"100 * {ACCURACY}"),),
        hints=("How large can your accuracy become?",),
    ),
    Pitfall(
        id="counter-stuck",
        title="the step counter does not advance",
        advice=(
            "Parameters and optimiser move on, but state.step stays where it was. Schedules, "
            "checkpoints and logs that rely on it stand still."
        ),
        edits=(Edit(RESULT, RESULT.replace("gradients)", "gradients).replace(step=state.step)")),),
        hints=(
            "Which fields of a TrainState change in a step? There are three.",
            "The state can do all of it by itself, in one call.",
        ),
    ),
    Pitfall(
        id="old-state",
        title="the old state is returned",
        advice=(
            "A TrainState is frozen: applying gradients leaves it as it is and returns a new "
            "one. If that is dropped, nothing is ever learned."
        ),
        edits=(Edit(RESULT, RESULT.replace("state.apply_gradients(grads=gradients)", "state")),),
        stage="logits",
        hints=(
            "Compare the parameters before and after the step.",
            "What becomes of the value that apply_gradients returns?",
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
                RESULT.replace("gradients)", "gradients).replace(opt_state=state.opt_state)"),
            ),
        ),
        stage="logits",
        hints=(
            "Your first step is right and the second is not. What should be carried over?",
            "Which fields of a TrainState change in a step? There are three.",
        ),
    ),
    Pitfall(
        id="swapped",
        title="the two results are returned in the wrong order",
        advice="The contract asks for the new state first, then for the metrics.",
        edits=(
            Edit(
                RESULT,
                'return {"loss": loss, "accuracy": accuracy}, '
                "state.apply_gradients(grads=gradients)",
            ),
        ),
        check="runs",
        hints=("Compare the return line with the contract.",),
    ),
)
