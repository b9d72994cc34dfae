"""What goes wrong in the loss of ``train_step``."""

from __future__ import annotations

from grader.problem import Edit, Pitfall

SMOOTHED = "optax.smooth_labels(one_hot, label_smoothing)"
LOSSES = "optax.softmax_cross_entropy(logits, targets)"
MEAN = "return losses.mean(), logits"

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
        id="smoothing-added",
        title="the smoothing is added, and nothing is taken away for it",
        advice=(
            "A row of targets is a distribution: it adds up to 1. What the other classes get, the "
            "right one has to give: (1 - s) · one_hot + s / K."
        ),
        edits=(Edit(SMOOTHED, "one_hot + label_smoothing / logits.shape[-1]"),),
        stage="targets",
        hints=(
            "What do the rows of your targets add up to?",
            "With s = 0.1 and K = 4, what is your target for the right class?",
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
)
