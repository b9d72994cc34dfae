"""What goes wrong in ``train_step``."""

from __future__ import annotations

from grader.problem import Edit, Pitfall

SMOOTHED = "optax.smooth_labels(one_hot, label_smoothing)"
LOSSES = "optax.softmax_cross_entropy(logits, targets)"
MEAN = "return losses.mean(), logits"
ACCURACY = 'jnp.mean(logits.argmax(axis=-1) == batch["label"])'
RESULT = 'return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}'

PITFALLS = (
    Pitfall(
        id="no-smoothing",
        title="the labels are not smoothed",
        advice=(
            "label_smoothing has no effect: the loss is the plain cross-entropy, whatever "
            "its value."
        ),
        edits=(Edit(SMOOTHED, "one_hot"),),
        stage="targets",
        hints=(
            "Call the step with two values of label_smoothing and compare the losses.",
            "What do the rows of your targets look like?",
        ),
    ),
    Pitfall(
        id="smoothing-fixed",
        title="label_smoothing is always 0.1",
        advice=(
            "0.1 is only what is used if the caller says nothing. The argument has to arrive "
            "where the targets are made."
        ),
        edits=(Edit(SMOOTHED, SMOOTHED.replace("label_smoothing", "0.1")),),
        stage="targets",
        hints=(
            "Call the step with two values of label_smoothing and compare the losses.",
            "Follow the argument: where in the step is it used?",
        ),
    ),
    Pitfall(
        id="smoothing-default",
        title="without the argument, label_smoothing is 0 and not 0.1",
        advice=(
            "The contract gives label_smoothing a default of 0.1. Called without it, yours "
            "does not smooth at all."
        ),
        edits=(Edit("label_smoothing: float = 0.1", "label_smoothing: float = 0.0"),),
        stage="targets",
        hints=(
            "With label_smoothing given you are right. What if it is left out?",
            "Compare your signature with that of the contract.",
        ),
    ),
    Pitfall(
        id="smoothing-others-only",
        title="the smoothing is spread over the K - 1 wrong classes only",
        advice=(
            "Both definitions are in use. Here every one of the K classes gets its share, "
            "the right one too, so that it ends up slightly above 1 - s."
        ),
        edits=(
            Edit(
                SMOOTHED,
                "jnp.where(\n            one_hot > 0, 1 - label_smoothing, "
                "label_smoothing / (logits.shape[-1] - 1)\n        )",
            ),
        ),
        stage="targets",
        hints=(
            "With s = 0.1 and K = 4, what is your target for the right class?",
            "Among how many classes is s divided?",
        ),
    ),
    Pitfall(
        id="double-softmax",
        title="a softmax is applied before the cross-entropy",
        advice=(
            "The cross-entropy applies the softmax itself. Twice, it can never get close to "
            "0, and the gradients become small."
        ),
        edits=(Edit(LOSSES, LOSSES.replace("(logits", "(jax.nn.softmax(logits)")),),
        stage="losses",
        hints=(
            "What does the loss function expect: logits or probabilities?",
            "Take one thing away between the model and the loss.",
        ),
    ),
    Pitfall(
        id="loss-summed",
        title="the loss is summed over the batch",
        advice=(
            "A sum grows with the batch, and the gradient with it. With the mean, a batch in "
            "which every image is there twice gives the same step."
        ),
        edits=(Edit(MEAN, MEAN.replace("mean", "sum")),),
        stage="logits",
        hints=(
            "By which factor is your loss too large?",
            "Should the loss of a batch double if every image is in it twice?",
        ),
    ),
    Pitfall(
        id="averaged-over-classes",
        title="the cross-entropy is averaged over the classes, too",
        advice=(
            "The cross-entropy of an image is a sum over the classes; images alone are averaged. "
            "Yours is too small by the number of classes, and so are the gradients."
        ),
        edits=(Edit(LOSSES, f"{LOSSES} / logits.shape[-1]"),),
        stage="losses",
        hints=(
            "By which factor is your loss wrong?",
            "Over which axes does your mean go?",
        ),
    ),
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
