"""CIFAR-10 on one GPU.

    python -m grader train cifar10

Not measured: no GPU was at hand.  The recipe follows what small ViTs are usually given on
CIFAR-10 (DeiT's augmentation, Touvron et al. 2021, arXiv 2012.12877, in small); its time and its
accuracy are unknown.
"""

from solutions.training.recipe import Recipe

RECIPE = Recipe(
    name="cifar10",
    data="cifar10",
    model="cls",
    patch_size=4,
    width=384,
    heads=6,
    depth=8,
    mlp=1536,
    position_std=0.3,
    epochs=150,
    batch_size=512,
    base_lr=1e-3,
    weight_decay=0.1,
    ema=0.999,
    drop_path=0.1,
    shift=4,
    flip=True,
    mixup=0.2,
    cutmix=1.0,
    eval_every=5,
    checkpoint_every=10,
)
