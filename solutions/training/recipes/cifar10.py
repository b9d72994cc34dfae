"""CIFAR-10 on one GPU.

    python -m grader train cifar10

Not measured yet.
"""

from solutions.training.recipe import Recipe

RECIPE = Recipe(
    name="cifar10",
    data="cifar10",
    model="mean_pool",
    patch_size=4,
    width=256,
    heads=4,
    depth=8,
    mlp=512,
    position_std=0.8,
    start="mimetic",
    epochs=128,
    batch_size=512,
    base_lr=2e-3,
    optimizer="muon",
    muon_lr=4e-3,
    weight_decay=0.2,
    ema=0.999,
    drop_path=0.1,
    shift=4,
    flip=True,
    trivial_augment=True,
    mixup=0.2,
    cutmix=1.0,
    eval_every=5,
    checkpoint_every=20,
)
