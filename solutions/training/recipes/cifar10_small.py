"""Draft of a small ViT for CIFAR-10 on two CPU cores."""

from solutions.training.recipe import Recipe

RECIPE = Recipe(
    name="cifar10-small",
    data="cifar10",
    model="cls",
    patch_size=4,
    width=96,
    heads=3,
    depth=4,
    mlp=192,
    position_std=0.3,
    epochs=12,
    batch_size=128,
    base_lr=2e-3,
    shift=2,
    flip=True,
)
