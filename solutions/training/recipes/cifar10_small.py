"""A small ViT for CIFAR-10: as far as twenty minutes of two CPU cores go.

    python -m grader train cifar10-small

Measured once, seed 0, on 2 cores of an AMD EPYC (x86_64, Python 3.11, jax 0.10.2), float32, with
CIFAR-10 stored as JPEG of quality 75 (a little harder than the original), on the 10,000 test
images:

    epoch             1       2       3       4       5       6       7
    test accuracy   46.9 %  54.5 %  55.8 %  59.4 %  62.3 %  65.3 %  65.9 %
    test loss       1.489   1.295   1.242   1.160   1.080   1.015   1.000
    images/s          315     330     305     323     312     339     159

The first six epochs took 990 s, 165 s each.  Other programs used the cores during the last one,
so that all of it took 22 minutes; at the pace of the first six it is 20.  The curve still rises:
the learning rate is laid out for seven epochs, and nothing was tuned on CIFAR-10.
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
    epochs=24,
    batch_size=128,
    base_lr=2e-3,
    shift=2,
    flip=True,
)
