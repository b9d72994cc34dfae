"""A small ViT for CIFAR-10 on two CPU cores.

    python -m grader train cifar10-small

Not measured to its end.  On 2 cores that about ten other jobs used at the same time it made 14 to
28 images/s, which is far too slow to say anything about accuracy; nothing was tuned on CIFAR-10.
"""

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
