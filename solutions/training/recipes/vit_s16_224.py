"""ViT-S/16 at 224 × 224, for a folder of images of one's own.

    python -m grader train vit-s16-224 --data FOLDER

Never trained to its end. Six epochs on 3,000 images, in batches of 256, ran on an H200 (8,000 to
9,000 images/s beside another process); on a CPU it is out of question. Sizes as in DeiT-S (Touvron
et al. 2021, arXiv 2012.12877); batch, base learning rate, length, mean pooling, Mixup of 0.2 and no
label smoothing as in Beyer et al. 2022, arXiv 2205.01580. What differs from theirs: the images are
resized once, so there is no random-resized crop; there is no RandAugment (`trivial_augment` comes
near to it); positions are learned; the warm-up is 5 % of the steps in place of 10,000 steps. (Optax
multiplies weight decay by the learning rate: 0.1 here is their 0.0001 at its peak.) Expect less
than their accuracy.

The decoded images have to fit on the device, 150 KB each.
"""

from solutions.training.recipe import Recipe

RECIPE = Recipe(
    name="vit-s16-224",
    data="",
    image_size=224,
    model="mean_pool",
    patch_size=16,
    width=384,
    heads=6,
    depth=12,
    mlp=1536,
    position_std=0.02,
    epochs=90,
    batch_size=1024,
    base_lr=1e-3,
    warmup=0.05,
    weight_decay=0.1,
    label_smoothing=0.0,
    flip=True,
    mixup=0.2,
)
