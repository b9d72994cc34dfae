"""Draft."""

from solutions.training.recipe import Recipe

RECIPE = Recipe(name="digits")
