"""``normalized_l1``: what goes wrong in it."""

from __future__ import annotations

from grader.problem import Edit, Pitfall

STUDENT_LENGTH = "jnp.linalg.norm(student, axis=-1, keepdims=True)"
TEACHER_LENGTH = "jnp.linalg.norm(teacher, axis=-1, keepdims=True)"
STUDENT_SCALED = "norm * student / student_length"
TEACHER_SCALED = "norm * teacher / teacher_length"
LOSS = "jnp.abs(student_scaled - teacher_scaled).mean()"

PITFALLS = (
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
        id="norm-fixed",
        title="normalized_l1 scales to length 100, whatever norm is",
        advice=(
            "norm is an argument, and 100 only its default. With a number in its place the loss "
            "is right as long as nobody asks for another length."
        ),
        edits=(
            Edit(STUDENT_SCALED, "100.0 * student / student_length"),
            Edit(TEACHER_SCALED, "100.0 * teacher / teacher_length"),
        ),
        stage="student_scaled",
        hints=(
            "Which of your lines use norm?",
            "With norm = 100 you are right. What if it is 10?",
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
        id="length-is-constant",
        title="the length of the student's rows gets no gradient",
        advice=(
            "The loss comes out right, its gradient does not: stop_gradient makes a constant of "
            "the length, so the gradient also pushes rows to become longer or shorter, which "
            "cannot change the loss. Only the teacher is a constant."
        ),
        edits=(Edit(STUDENT_LENGTH, f"jax.lax.stop_gradient({STUDENT_LENGTH})"),),
        stage="embeddings",
        hints=(
            "Your loss is right. Is its gradient, too? Compare it with small differences.",
            "Which of the values in your loss depend on the student?",
        ),
    ),
    Pitfall(
        id="root-of-square",
        title="the absolute value is the root of the square",
        advice=(
            "The loss comes out right. But the root has no slope at 0, and the square hands it 0 "
            "wherever a number of the student's is the teacher's: 0 times infinity is NaN, and "
            "after one step all parameters are. The absolute value has a slope everywhere."
        ),
        edits=(Edit(LOSS, "jnp.sqrt(jnp.square(student_scaled - teacher_scaled)).mean()"),),
        hints=(
            "Your loss is right. What is its gradient where student and teacher agree?",
            "How steep is the square root at 0?",
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
)
