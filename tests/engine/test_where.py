"""Where submission and reference part: stages, the line of the nearest value, its difference."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

from grader import catalogue
from grader.engine.dataflow import stage_ancestors
from grader.engine.reference import apply_edits
from grader.problem import Edit
from grader.specs.p50_train_step.loss_pitfalls import LOSSES, MEAN
from grader.specs.p50_train_step.step_pitfalls import ACCURACY
from tests.conftest import Grade

PLAIN = {"cases": 12, "shapes": 4}

BLOCK = """\
import flax.linen as nn
import jax
import jax.numpy as jnp


def mix(q, k, v):
    scores = q @ k.T  # not divided by the root of the head's width
    return jax.nn.softmax(scores) @ v


def over_heads(q, k, v):
    {over_heads}


class Block(nn.Module):
    heads: int
    width: int

    @nn.compact
    def __call__(self, x):
        length, d = x.shape
        y = nn.LayerNorm(epsilon=1e-6)(x)
        q, k, v = (nn.Dense(d)(y).reshape(length, self.heads, -1) for _ in range(3))
        x = x + nn.Dense(d)(over_heads(q, k, v).reshape(length, d))
        y = nn.LayerNorm(epsilon=1e-6)(x)
        return x + nn.Dense(d)(nn.gelu(nn.Dense(self.width)(y)))


def encoder_block_forward(seed, x, num_heads, d_ff):
    model = {model}(num_heads, d_ff)
    return model.apply(model.init(jax.random.key(seed), x), x)
"""
VMAP = "return jax.vmap(mix, in_axes=1, out_axes=1)(q, k, v)"
MAP = (
    "move = lambda t: t.transpose(1, 0, 2)\n"
    "    return move(jax.lax.map(lambda t: mix(*t), (move(q), move(k), move(v))))"
)
SCORES_LINE = 7


def parted(verdict: dict[str, Any]) -> str:
    return next(stage["title"] for stage in verdict["stages"] if stage["parts"])


@pytest.mark.parametrize(
    ("over_heads", "model"),
    [
        (VMAP, "Block"),
        pytest.param(VMAP, "nn.jit(Block)", marks=pytest.mark.slow),
        (VMAP, "nn.remat(Block)"),
        pytest.param(VMAP.replace("mix,", "jax.jit(mix),"), "Block", marks=pytest.mark.slow),
        (VMAP.replace("mix,", "jax.checkpoint(mix),"), "Block"),
        (MAP, "Block"),
    ],
    ids=["vmap", "nn.jit", "nn.remat", "jit in vmap", "checkpoint in vmap", "scan"],
)
def test_the_line_is_found_inside_transformations(
    grade_text: Grade, over_heads: str, model: str
) -> None:
    text = BLOCK.format(over_heads=over_heads, model=model)
    verdict = grade_text(text, 41, **PLAIN)
    assert parted(verdict) == "+attention"
    inside = {stage["title"]: stage["found"] for stage in verdict["stages"] if stage["inside"]}
    assert inside["scaled scores"] is False
    (nearest,) = verdict["nearest"]
    assert nearest["line"] == SCORES_LINE
    assert nearest["code"].startswith("scores = q @ k.T")
    assert nearest["difference"].startswith("the expected one times ")
    assert [d["pitfall"] for d in verdict["diagnoses"]] == ["not-scaled"]


def test_a_stage_that_is_skipped_without_harm_does_not_count(grade_text: Grade) -> None:
    text = BLOCK.replace("scores = q @ k.T", "scores = (q / q.shape[-1] ** 0.5) @ k.T")
    text = text.replace("x + nn.Dense(d)(nn.gelu", "x - nn.Dense(d)(nn.gelu")
    verdict = grade_text(text.format(over_heads=MAP, model="Block"), 41, **PLAIN)
    assert parted(verdict) == "+MLP"


VIT = """\
import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        y = {norm}
        x = x + nn.SelfAttention(self.h)(y)
        return x + nn.Dense(d)(nn.gelu(nn.Dense(self.f)(nn.LayerNorm()(x))))


class ViT(nn.Module):
    p: int
    d: int
    h: int
    f: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.d, (self.p, self.p), (self.p, self.p), "VALID")(image)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d))
        x = jnp.concatenate([cls, x.reshape(-1, self.d)])
        x = x + self.param("table", nn.initializers.normal(0.02), x.shape)
        for _ in range(self.depth):
            x = Block(self.h, self.f)({into_block})
        return nn.Dense(self.classes)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)
"""
NORM = "nn.LayerNorm()(x)"


@pytest.mark.parametrize(
    ("norm", "into_block", "code"),
    [
        (NORM, "x.at[0].set(cls[0])", "x = Block(self.h, self.f)(x.at[0].set(cls[0]))"),
        ("nn.LayerNorm(reduction_axes=0)(x)", "x", "y = nn.LayerNorm(reduction_axes=0)(x)"),
    ],
    ids=["a row is put back", "another axis"],
)
def test_what_is_given_to_an_attention_is_told(
    norm: str, into_block: str, code: str, grade_text: Grade
) -> None:
    text = VIT.format(norm=norm, into_block=into_block)
    verdict = grade_text(text, 46, **PLAIN)
    assert parted(verdict) == "block 1: +attention"
    inside = [stage["title"] for stage in verdict["stages"] if stage["inside"]]
    assert inside[0] == "normalised tokens"
    (nearest,) = verdict["nearest"]
    assert nearest["what"] == "the first value that the reference does not have"
    assert nearest["code"] == code


def test_what_is_given_rightly_is_not_blamed(grade_text: Grade) -> None:
    text = VIT.format(norm=NORM, into_block="x").replace(
        "nn.SelfAttention(self.h)(y)", "nn.SelfAttention(self.h)(y, jnp.arange(len(y)) < 2)"
    )
    verdict = grade_text(text, 46, **PLAIN)
    assert parted(verdict) == "block 1: +attention"
    assert "normalised tokens" not in [stage["title"] for stage in verdict["stages"]]


def test_a_state_that_came_out_wrong_is_blamed_and_no_line_of_the_next_step(
    grade_text: Grade,
) -> None:
    text = catalogue.solution_path(49).read_text()
    text = text.replace(
        "apply_gradients(grads=gradients)", "apply_gradients(grads=jax.tree.map(f, gradients))"
    )
    text = text.replace(
        "def distill_step", "def f(gradient):\n    return gradient**3\n\n\ndef distill_step"
    )
    verdict = grade_text(text, 49, **PLAIN)
    assert parted(verdict) == "student's embeddings, step 2"
    inside = [stage["title"] for stage in verdict["stages"] if stage["inside"]]
    assert inside == ["the state that step 1 returned"]
    assert not verdict["nearest"]


def test_nan_is_told_with_its_line(grade_text: Grade) -> None:
    text = BLOCK.replace("nn.gelu(nn.Dense", "jnp.log(nn.Dense")
    verdict = grade_text(text.format(over_heads=VMAP, model="Block"), 41, **PLAIN)
    (nearest,) = verdict["nearest"]
    assert (nearest["what"], nearest["difference"]) == ("the first NaN", "not finite: NaN")
    assert "jnp.log" in nearest["code"]


def test_rows_of_nan_suggest_an_index_beyond_a_table(grade_text: Grade) -> None:
    source = """
import flax.linen as nn, jax, jax.numpy as jnp


class Embeddings(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        count, width = tokens.shape
        small = nn.initializers.normal(0.02)
        x = jnp.concatenate([self.param("cls", small, (1, width)), tokens])
        return x + nn.Embed(count + 1, width, embedding_init=small)(jnp.arange(count + 1) + 1)


def cls_and_position_forward(seed, tokens):
    model = Embeddings()
    return model.apply(model.init(jax.random.key(seed), tokens), tokens)
"""
    nearest = grade_text(source, 39, **PLAIN)["nearest"][0]
    assert nearest["what"] == "the first NaN"
    assert "nn.Embed for an index beyond its table" in nearest["difference"]


HEAD_BY_HEAD = "return jnp.stack([mix(q[:, i], k[:, i], v[:, i]) for i in range(q.shape[1])], 1)"


def test_heads_in_a_loop_are_seen_one_by_one(grade_text: Grade) -> None:
    right = BLOCK.replace("q @ k.T", "q @ k.T / q.shape[-1] ** 0.5")
    for text, parts, nearest_line in (
        (BLOCK, "scaled scores", "the expected one times "),
        (right.replace("softmax(scores)", "softmax(scores, 0)"), "attention weights", ""),
        (right.replace("softmax(scores) @ v", "softmax(scores) @ (2 * v)"), "values mixed", ""),
    ):
        verdict = grade_text(text.format(over_heads=HEAD_BY_HEAD, model="Block"), 41, **PLAIN)
        inside = [(s["title"], s["found"]) for s in verdict["stages"] if s["inside"]]
        first = next(title for title, found in inside if not found)
        assert first.startswith(parts)
        assert verdict["nearest"][0]["difference"].startswith(nearest_line)


def test_keys_made_before_queries_do_not_hide_a_softmax_over_the_queries(
    grade_text: Grade,
) -> None:
    text = BLOCK.replace("q, k, v = (nn", "k, q, v = (nn").replace(
        "softmax(scores)", "softmax(scores / q.shape[-1] ** 0.5, 0)"
    )
    verdict = grade_text(text.format(over_heads=HEAD_BY_HEAD, model="Block"), 41, **PLAIN)
    assert [d["pitfall"] for d in verdict["diagnoses"]] == ["softmax-over-queries"]
    assert [s["found"] for s in verdict["stages"] if s["title"] == "scaled scores"] == [True]


def test_a_stage_that_a_right_result_depends_on_counts_as_passed(grade_text: Grade) -> None:
    edits = (
        (LOSSES, "jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)"),
        (MEAN, "return -losses.mean(), logits"),  # negated later than in the reference
        (ACCURACY, f"100 * {ACCURACY}"),
    )
    text = catalogue.solution_path(50).read_text()
    verdict = grade_text(apply_edits(text, [Edit(*edit) for edit in edits]), 50, **PLAIN)
    assert not any(stage["parts"] for stage in verdict["stages"])
    assert [d["pitfall"] for d in verdict["diagnoses"]] == ["accuracy-percent"]


def test_what_an_optimiser_gives_is_told_by_its_updates(grade_text: Grade) -> None:
    text = catalogue.solution_path(50).read_text()
    edit = Edit("mask=weight_decay_mask)", "mask=weight_decay_mask, b1=0.8)")
    (nearest,) = grade_text(apply_edits(text, [edit]), 50, **PLAIN)["nearest"]
    assert nearest["what"] == "block/bias after each update"
    assert nearest["difference"] == "right in update 0, wrong in updates 1 to 4"


def test_the_weights_of_a_single_token_prove_nothing(grade_text: Grade) -> None:
    text = catalogue.solution_path(45).read_text()
    call = "(image)"
    assert text.count(call) == 1
    # Only the corner with one patch has pixels this large.
    clipped = text.replace(call, "(image.clip(-30, 30))")
    verdict = grade_text(clipped, 45)  # the corners, too
    assert parted(verdict) == "patches"


def test_what_goes_through_a_comparison_proves_nothing() -> None:
    def model(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = checkpoint_name(x * 2, "logits")
        return logits.sum(), jnp.mean(logits.argmax(-1) == 1)

    stages, results = stage_ancestors(jax.make_jaxpr(model)(jnp.ones((2, 3))).jaxpr)
    assert stages == [frozenset()]
    assert results == [{0}, frozenset()]


def test_a_mistake_that_changes_the_order_of_use_leads_no_pairing_astray(grade_text: Grade) -> None:
    """The final LayerNorm is used before the second block's; its numbers belong to it still."""
    mistake = next(
        pitfall
        for pitfall in catalogue.problem(45).pitfalls
        if pitfall.id == "final-norm-after-every-block"
    )
    text = apply_edits(catalogue.solution_path(45).read_text(), mistake.edits)
    verdict = grade_text(text, 45, **PLAIN)
    assert [d["pitfall"] for d in verdict["diagnoses"]] == [mistake.id]
    inside = [stage for stage in verdict["stages"] if stage["inside"]]
    assert inside[0]["title"] == "normalised tokens"


LOOP = """\
        for _ in range(self.depth):
            x = Block(self.h, self.f)(x)
"""
SCAN = """\
        over = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        layers = nn.scan(lambda block, x, _: (block(x), None), length=self.depth, **over)
        x, _ = layers(Block(self.h, self.f), x, None)
"""


def test_the_way_is_followed_through_a_scan(grade_text: Grade) -> None:
    text = VIT.format(norm=NORM, into_block="x")
    assert LOOP in text
    verdict = grade_text(text.replace(LOOP, SCAN).replace("nn.gelu", "nn.tanh"), 46, **PLAIN)
    assert parted(verdict) == "block 1: +MLP"
    (nearest,) = verdict["nearest"]
    assert nearest["what"] == "the first value that the reference does not have"
    assert "nn.tanh" in nearest["code"]


def test_rows_in_another_order_are_told_where_they_begin(grade_text: Grade) -> None:
    (path,) = (catalogue.ROOT / "tests/answers").glob("46_*/wrong/cls_at_the_end.py")
    stages = grade_text(path.read_text(), 46, **PLAIN)["stages"]
    told = [stage["title"] for stage in stages if stage["found"]]
    assert told == ["patches", "+CLS, rows in another order"]
