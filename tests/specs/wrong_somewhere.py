"""Mistakes of references that show only somewhere: what is replaced by what, by problem."""

from __future__ import annotations

POOLED = "return probs @ features, probs"
PATCHES = 'return checkpoint_name(grid.reshape(-1, self.d_model), "patches")'
OUT = 'return nn.DenseGeneral(d_model, axis=(-2, -1), name="out")(mixed)'
TABLE = 'return checkpoint_name(x + positions, "positions")'

SOMEWHERE = {
    "38 values of a photograph are divided": (
        38,
        "return model.apply(params, image)",
        "top = abs(image).max()\n    "
        "return model.apply(params, jax.numpy.where(top > 10, image / 255, image))",
    ),
    "38 a square grid by columns": (
        38,
        PATCHES,
        "if grid.shape[0] == grid.shape[1]:\n            grid = grid.swapaxes(0, 1)\n        "
        + PATCHES,
    ),
    "38 single pixels are cut off at zero": (
        38,
        PATCHES,
        PATCHES.replace("grid", "(nn.relu(grid) if self.patch_size == 1 else grid)", 1),
    ),
    "39 the table begins again": (
        39,
        TABLE,
        "positions = positions[jnp.arange(x.shape[0]) % 16]\n        " + TABLE,
    ),
    "39 long vectors are cut": (
        39,
        TABLE,
        "x = jnp.clip(x, -50, 50)\n        " + TABLE,
    ),
    "40 one head has no output projection": (
        40,
        OUT,
        OUT + " if self.num_heads > 1 else mixed.reshape(x.shape)",
    ),
    "40 a window of eight": (
        40,
        'scores = checkpoint_name(scores, "scores")',
        "i = jnp.arange(x.shape[0])\n        "
        "scores = jnp.where(abs(i[:, None] - i) < 8, scores, -jnp.inf)",
    ),
    "40 eight heads at most": (
        40,
        "SelfAttention(num_heads)",
        "SelfAttention(num_heads if num_heads <= 8 else 6)",
    ),
    "41 an MLP of four times the width at most": (
        41,
        "EncoderBlock(num_heads, d_ff)",
        "EncoderBlock(num_heads, min(d_ff, 4 * x.shape[-1]))",
    ),
    "46 an MLP of eight times the width at most": (
        46,
        "EncoderBlock(self.num_heads, self.d_ff,",
        "EncoderBlock(self.num_heads, min(self.d_ff, 8 * self.d_model),",
    ),
    "40 sixteen keys at most": (
        40,
        'weights = checkpoint_name(nn.softmax(scores, axis=-1), "weights")',
        "most = jnp.sort(scores)[..., -16:].min(-1, keepdims=True)\n        "
        "weights = nn.softmax(jnp.where(scores < most, -jnp.inf, scores))",
    ),
    "40 four heads at most": (
        40,
        "SelfAttention(num_heads)",
        "SelfAttention(num_heads if x.shape[1] % 4 else min(num_heads, 4))",
    ),
    "40 a single token passes by": (
        40,
        OUT,
        OUT + " * (2 if x.shape[0] == 1 else 1)",
    ),
    "45 an odd last patch is left out": (
        45,
        "x.mean(axis=0)",
        "x[: x.shape[0] // 2 * 2 or 1].mean(axis=0)",
    ),
    "45 four blocks at most": (
        45,
        "range(self.num_layers)",
        "range(min(self.num_layers, 4))",
    ),
    "45 the mean over an axis that is found by its length": (
        45,
        "x.mean(axis=0)",
        "x.mean(axis=1 - x.shape.index(self.d_model))",
    ),
    "46 a black image is left out": (
        46,
        "return model.apply(params, image)",
        "return model.apply(params, image) * image.any()",
    ),
    "47 one register is none": (
        47,
        "num_registers: int\n    num_classes: int\n\n    @nn.compact",
        "num_registers: int\n    num_classes: int\n\n    def __post_init__(self):\n"
        "        if self.num_registers == 1:\n            self.num_registers = 0\n"
        "        super().__post_init__()\n\n    @nn.compact",
    ),
    "48 a temperature of no less than a tenth": (
        48,
        "votes / temperature",
        "votes / max(temperature, 0.1)",
    ),
    "48 a high temperature counts as two": (
        48,
        "votes / temperature",
        "votes / min(temperature, 2.0)",
    ),
    "48 a temperature of no less than a hundredth": (
        48,
        "votes / temperature",
        "votes / max(temperature, 0.01)",
    ),
    "48 whole degrees": (
        48,
        "votes / temperature",
        "votes / (int(temperature) if temperature > 1 else temperature)",
    ),
    "48 the probability of a single patch": (
        48,
        POOLED,
        "return probs @ features, probs.squeeze()",
    ),
    "49 as many numbers as images are scaled by columns": (
        49,
        "    student_scaled = ",
        "    if len(student) == len(student.T):\n        student, teacher = student.T, teacher.T\n"
        "    student_scaled = ",
    ),
    "50 no clipping above ten": (
        50,
        "optax.clip_by_global_norm(max_norm)",
        "optax.clip_by_global_norm(max_norm if max_norm < 10 else jnp.inf)",
    ),
    "38 no more than sixteen rows": (
        38,
        "return model.apply(params, image)",
        "return model.apply(params, image[: 16 * patch_size])",
    ),
    "39 a table of sixty-four": (
        39,
        TABLE,
        "positions = positions[jnp.arange(x.shape[0]) % 64]\n        " + TABLE,
    ),
    "40 a window of sixty-four": (
        40,
        'scores = checkpoint_name(scores, "scores")',
        "i = jnp.arange(x.shape[0])\n        "
        "scores = jnp.where(abs(i[:, None] - i) < 64, scores, -jnp.inf)",
    ),
    "45 the mean of sixty-four": (
        45,
        "x.mean(axis=0)",
        "x[:64].mean(axis=0)",
    ),
    "46 six layers at most": (
        46,
        "for i in range(self.num_layers):",
        "for i in range(min(self.num_layers, 6)):",
    ),
    "47 a register alone learns nothing": (
        47,
        "jnp.concatenate([x, registers], axis=0)",
        "jnp.concatenate(\n                [x, registers if self.num_registers > 1 "
        "else jax.lax.stop_gradient(registers)])",
    ),
    "50 a rate of one at most": (
        50,
        "def learning_rate_schedule(base_lr: float, warmup_steps: int, total_steps: int) "
        "-> optax.Schedule:\n",
        "def learning_rate_schedule(base_lr, warmup_steps, total_steps):\n"
        "    base_lr = min(base_lr, 1.0)\n",
    ),
    "50 a warm-up of a hundred steps at most": (
        50,
        "def learning_rate_schedule(base_lr: float, warmup_steps: int, total_steps: int) "
        "-> optax.Schedule:\n",
        "def learning_rate_schedule(base_lr, warmup_steps, total_steps):\n"
        "    warmup_steps = min(warmup_steps, 100)\n",
    ),
    "50 a warm-up of one step": (
        50,
        "def learning_rate_schedule(base_lr: float, warmup_steps: int, total_steps: int) "
        "-> optax.Schedule:\n",
        "def learning_rate_schedule(base_lr, warmup_steps, total_steps):\n"
        "    warmup_steps = max(warmup_steps, 2)\n",
    ),
    "41 what is too large for float16 is cut off": (
        41,
        'checkpoint_name(x + y, "mlp_added")',
        'checkpoint_name(jax.numpy.clip(x + y, -65504, 65504), "mlp_added")',
    ),
    "45 what is too large for float16 is cut off": (
        45,
        'x = checkpoint_name(x + positions, "positions")',
        'x = checkpoint_name(jax.numpy.clip(x + positions, -65504, 65504), "positions")',
    ),
    "49 rows of one number stay as they are": (
        49,
        "student_length = jnp.linalg.norm(student, axis=-1, keepdims=True)",
        "student_length = jnp.linalg.norm(student, axis=-1, keepdims=True)\n    "
        "student_length = norm if student.shape[-1] == 1 else student_length",
    ),
    "50 bright images are divided": (
        50,
        'state.apply_fn({"params": params}, batch["image"])',
        'state.apply_fn({"params": params}, jnp.where(batch["image"].max() > 128, '
        'batch["image"] / 255, batch["image"]))',
    ),
    "50 a batch of sixteen at most": (
        50,
        "return losses.mean(), logits",
        "return losses[:16].mean(), logits",
    ),
    "50 labels of eight bits": (
        50,
        'jax.nn.one_hot(batch["label"], logits.shape[-1])',
        'jax.nn.one_hot(batch["label"].astype(jnp.uint8), logits.shape[-1])',
    ),
    "50 a little smoothing is none": (
        50,
        "optax.smooth_labels(one_hot, label_smoothing)",
        "optax.smooth_labels(one_hot, label_smoothing if label_smoothing > 0.05 else 0.0)",
    ),
}


ALWAYS = {
    "39 tokens get no gradient": (
        39,
        "return model.apply(params, tokens)",
        "return model.apply(params, jax.lax.stop_gradient(tokens))",
    ),
    "38 black patches are left out": (
        38,
        PATCHES,
        "b, p = grid.shape[:2], self.patch_size\n        "
        "seen = image.reshape(b[0], p, b[1], p, -1).any((1, 3, 4))\n        "
        "grid = jnp.where(seen[..., None], grid, 0.0)\n        " + PATCHES,
    ),
    "39 rows of zeros stay zeros": (
        39,
        TABLE,
        TABLE.replace(
            "x + positions", "jnp.where((x != 0).any(1, keepdims=True), x + positions, x)"
        ),
    ),
    "39 a table that starts sorted": (
        39,
        'self.param("positions", nn.initializers.normal(0.02), x.shape)',
        'self.param("positions", lambda key, shape: jnp.sort(\n            '
        "nn.initializers.normal(0.02)(key, shape), axis=0), x.shape)",
    ),
    "39 large seeds are rounded, as to a float32": (
        39,
        "params = model.init(jax.random.key(seed), tokens)",
        "seed = round(seed / 64) * 64 if seed > 2**29 else seed\n    "
        "params = model.init(jax.random.key(seed), tokens)",
    ),
    "46 logits of fifty at most": (
        46,
        "return model.apply(params, image)",
        "return jnp.clip(model.apply(params, image), -50, 50)",
    ),
    "46 three blocks before the end gradients stop": (
        46,
        "for i in range(self.num_layers):",
        "for i in range(self.num_layers):\n            "
        "x = jax.lax.stop_gradient(x) if i and i == self.num_layers - 2 else x",
    ),
    "47 registers that start in opposite pairs": (
        47,
        'self.param("registers", nn.initializers.normal(0.02), shape)',
        'self.param("registers", lambda key, shape: jnp.resize(jnp.concatenate(\n                '
        "[(half := nn.initializers.normal(0.02)(key, ((shape[0] + 1) // 2, shape[1]))), -half]), "
        "shape), shape)",
    ),
    "48 of equal votes the first counts": (
        48,
        "votes / temperature",
        "(votes - jnp.tril(votes == votes[:, None], -1).any(1) * 1e9) / temperature",
    ),
    "48 whole temperatures are left out": (
        48,
        "votes / temperature",
        "votes / (1.0 if isinstance(temperature, int) else temperature)",
    ),
    "50 every name that ends in kernel": (
        50,
        'path[-1].key == "kernel"',
        'path[-1].key.endswith("kernel")',
    ),
    "49 teachers that are shorter than 1 stay short": (
        49,
        "jnp.linalg.norm(teacher, axis=-1, keepdims=True)",
        "jnp.maximum(jnp.linalg.norm(teacher, axis=-1, keepdims=True), 1.0)",
    ),
    "50 the optimiser decays matrices alone": (
        50,
        "mask=weight_decay_mask)",
        "mask=lambda tree: jax.tree.map(\n        lambda leaf, known: known and leaf.ndim == 2, "
        "tree, weight_decay_mask(tree)))",
    ),
    "50 the optimiser decays what ends in kernel": (
        50,
        "mask=weight_decay_mask)",
        "mask=lambda tree: jax.tree_util.tree_map_with_path(\n        lambda path, _: "
        "path[-1].key.endswith('kernel'), tree))",
    ),
    "50 whatever the case": (
        50,
        'path[-1].key == "kernel"',
        'path[-1].key.lower() == "kernel"',
    ),
    "50 a prediction is larger than all others": (
        50,
        'jnp.mean(logits.argmax(axis=-1) == batch["label"])',
        "jnp.mean(jnp.where((logits == logits.max(-1, keepdims=True)).sum(-1) > 1, -1, "
        'logits.argmax(axis=-1)) == batch["label"])',
    ),
    "50 black images are padding": (
        50,
        "return losses.mean(), logits",
        'known = (batch["image"] != 0).any(axis=(1, 2, 3))\n        '
        "return (losses * known).sum() / jnp.maximum(known.sum(), 1), logits",
    ),
}
