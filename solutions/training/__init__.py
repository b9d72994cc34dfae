"""The training run, to be read as one story.

What is trained: `recipe` (every choice) · `recipes` (tried ones) · `data` (the images; `folders`,
`tables`, `decoding`, `hub`) · `models` (problems 45 to 48; `initial`, where they start; `products`
and `fused`, what makes them fast) · `mine`, `mine_model` and `mine_layout` (a student's own in
their place; `merged_axes`, `found_attention` and `narrow`, what makes those fast).

How: `augment` and `trivial` (what happens to a batch) · `optimizer` and `step` (one step, around
problem 50) · `programs` (many steps, compiled) · `loop` (what surrounds them) · `devices` (where) ·
`memory` (what fits) · `checkpoints`, `choosing`, `sealed`, `aside`, `lock`, `disk`, `orbax_log` and
`one_line` (never lost, and no chatter) · `train` (all of it together).

What people see: `runs` (the folder) · `onlooker` (what is told) · `watching` (who looks on,
signals), `bar` and `events` (TensorBoard's) · `evaluation` (the trained model at work) · `report`
and `figures`.

    from solutions.training import named, train
    trained = train(named("digits"), seed=0)
    trained.history[-1]["test_accuracy"]
"""

from solutions.training.recipe import Recipe, named, named_recipes
from solutions.training.train import Trained, train

__all__ = ["Recipe", "Trained", "named", "named_recipes", "train"]
