"""The training run, to be read as one story.

`recipe` (every choice) · `data` (the images; `folders`, `hub`) · `models` (problems 45 to 48) ·
`augment` and `step` (one step, around problem 50) · `loop` (many steps) · `devices` (where) ·
`checkpoints` (never lost) · `train` (all of it together) · `recipes` (tried ones).

    from solutions.training import Recipe, train
    trained = train(Recipe(epochs=10), seed=0)
    trained.history[-1]["test_accuracy"]
"""

from solutions.training.recipe import Recipe, named, named_recipes
from solutions.training.train import Trained, train

__all__ = ["Recipe", "Trained", "named", "named_recipes", "train"]
