"""A small ViT for CIFAR-10: as far as twenty minutes of two CPU cores go.

    python -m grader train cifar10-small

Measured once, seed 0, on 2 cores of an AMD EPYC (Zen 5, x86_64, Python 3.11, jax 0.10.2), float32,
with CIFAR-10 stored as JPEG of quality 75 (a little harder than the original), on the 10,000 test
images: 76.67 %, 20 min 28 s from the command to the prompt, at 1,010 to 1,140 images/s.

    epoch             1       4       8      12      16      20      24
    test accuracy   44.3 %  56.2 %  65.1 %  70.9 %  73.9 %  75.8 %  76.7 %
    test loss       1.550   1.247   1.038   0.874   0.789   0.743   0.724
    train accuracy  34.7 %  54.1 %  63.3 %  70.5 %  76.3 %  81.0 %  83.2 %
    minutes           0.9     3.4     6.7    10.1    13.5    16.7    20.0

With 7 epochs, on a slower machine, it was 65.9 % after about the same time.  The accuracy no longer
rises in the last four epochs, as the learning rate ends, and the training images are 6.5 % ahead by
then.  Nothing was tuned on CIFAR-10.
"""

from solutions.training.recipe import Recipe

RECIPE = Recipe(
    name="cifar10-small",
    data="cifar10",
    model="mean_pool",
    patch_size=4,
    width=96,
    heads=3,
    depth=4,
    mlp=192,
    position_std=0.8,
    start="mimetic",
    epochs=24,
    batch_size=128,
    base_lr=2e-3,
    optimizer="muon",
    muon_lr=4e-3,
    weight_decay=0.2,
    shift=2,
    flip=True,
)
