"""Handwritten digits, 8 × 8: the default."""

from solutions.training.recipe import Recipe

RECIPE = Recipe(
    name="digits",
    data="digits",
    model="cls",
    patch_size=2,
    width=64,
    heads=4,
    depth=4,
    mlp=128,
    position_std=1.0,
    epochs=60,
    batch_size=128,
    base_lr=3e-3,
    mixup=0.4,
    eval_every=4,
    checkpoint_every=20,
)
