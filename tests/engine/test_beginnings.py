"""What the seed decides, how parameters start, and which of them learn: one change at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grader import catalogue
from grader.engine.beginnings import looks_drawn
from grader.engine.cases import ample, draws_with_corners
from grader.engine.reference import apply_edits
from grader.problem import Edit
from tests.conftest import Grade, failed_checks

KEY = "init(jax.random.key(seed)"
DRAWN = "nn.initializers.normal(0.02)"
CLS = f'"cls", {DRAWN}'
POSITIONS = f'"positions", {DRAWN}'
REGISTERS = f'"registers", {DRAWN}'
BLOCK = "            x = EncoderBlock("
RETURN = "    return model.apply(params, "
FEW = {"cases": 12, "shapes": 4, "explain": False}


def changed(number: int, *edits: tuple[str, str]) -> str:
    text = catalogue.solution_path(number).read_text()
    return apply_edits(text, [Edit(old, new) for old, new in edits])


def message(verdict: dict[str, Any], id: str) -> str:
    return " ".join(c["message"] for c in verdict["checks"] if c["id"].endswith(id))


@pytest.mark.parametrize(
    ("number", "old", "new", "learner"),
    [
        (39, "[cls, tokens]", "[cls, jax.lax.stop_gradient(tokens)]", "tokens"),
        (46, BLOCK, BLOCK.replace("x =", "x = jax.lax.stop_gradient(x) if i else x;\n x ="), ""),
        (47, "[x, registers]", "[x, jax.lax.stop_gradient(registers)]", "registers"),
        (47, "[x, registers]", "[x, registers[:1], jax.lax.stop_gradient(registers[1:])]", ""),
        (48, "heads = tokens.", "heads = half(tokens).", "tokens"),
    ],
)
def test_what_gets_no_gradient_fails(
    number: int, old: str, new: str, learner: str, grade_text: Grade
) -> None:
    source = changed(number, (old, new.replace("\n ", "\n            ")))
    source += "\n\ndef half(x):\n    return x + (jax.lax.stop_gradient(x) - x) / 2\n"
    verdict = grade_text(source, number, **FEW)
    assert set(failed_checks(verdict)) == {"gradients"}
    assert learner in message(verdict, "gradients")


@pytest.mark.parametrize(
    ("seed", "says"),
    [
        ("0", "is `seed` used"),
        ("seed or 1", "seeds 0 and 1"),
        ("seed & 0xff", "give the same parameters"),
        ("seed % 65536", "give the same parameters"),
        ("seed % 1000", "give the same parameters"),
        ("min(seed, 1000)", "give the same parameters"),
        ("seed // 2", "seeds 0 and 1"),
        ("seed + 1", "the key is made of 1, not of `seed`"),
        ("-seed", "the key is made of 4294967295, not of `seed`"),
        ("hash((seed, 1.5)) % 2**31", "not of `seed` itself"),
    ],
)
def test_keys_that_are_not_made_of_the_seed_are_told(
    seed: str, says: str, grade_text: Grade
) -> None:
    verdict = grade_text(changed(39, (KEY, f"init(jax.random.key({seed})")), 39, cases=12, shapes=4)
    assert failed_checks(verdict) == ["seed"]
    assert says in message(verdict, "seed")
    named = [diagnosis["pitfall"] for diagnosis in verdict["diagnoses"]]
    assert named == (["seed-ignored"] if seed == "0" else [])


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31 + 5])
def test_a_seed_that_leads_to_another_key_passes(seed: int, grade_text: Grade) -> None:
    source = changed(39, (KEY, "init(jax.random.fold_in(jax.random.PRNGKey(seed), 3)"))
    assert grade_text(source, 39, seed=seed, **FEW)["passed"]


@pytest.mark.parametrize(
    ("number", "name", "old"),
    [(39, "positions", POSITIONS), (46, "cls", CLS), (47, "registers", REGISTERS)],
)
def test_a_parameter_with_a_key_of_its_own_does_not_depend_on_the_seed(
    number: int, name: str, old: str, grade_text: Grade
) -> None:
    fixed = f'"{name}", lambda _, shape: 0.02 * jax.random.normal(jax.random.key(7), shape)'
    verdict = grade_text(changed(number, (old, fixed)), number, **FEW)
    assert failed_checks(verdict) == ["seed"]
    assert f"'{name}' does not depend on the seed" in message(verdict, "seed")


@pytest.mark.parametrize("start", ["nn.initializers.zeros", "nn.initializers.ones"])
def test_a_fixed_start_without_numbers_to_draw_is_no_fault_of_the_seed(
    start: str, grade_text: Grade
) -> None:
    head = 'nn.Dense(self.num_classes, name="head"'
    source = changed(46, (head, f"{head}, kernel_init={start}"))
    assert grade_text(source, 46, **FEW)["passed"]


@pytest.mark.parametrize(
    ("number", "name", "old"), [(46, "positions", POSITIONS), (47, "registers", REGISTERS)]
)
def test_rows_that_start_equal_fail(number: int, name: str, old: str, grade_text: Grade) -> None:
    tiled = f'"{name}", lambda key, s: jnp.tile({DRAWN}(key, (1, s[1])), (s[0], 1))'
    verdict = grade_text(changed(number, (old, tiled)), number, **FEW)
    assert failed_checks(verdict) == ["initial"]
    assert f"'{name}' starts with the same row" in message(verdict, "initial")


@pytest.mark.parametrize("start", ["constant(0.02)", "zeros"])
def test_a_model_that_starts_all_constant_does_not_depend_on_the_seed(
    start: str, grade_text: Grade
) -> None:
    kernel = f'name="projection", kernel_init=nn.initializers.{start})'
    verdict = grade_text(changed(38, ('name="projection")', kernel)), 38, **FEW)
    assert failed_checks(verdict) == ["seed"]
    assert "all start as constants" in message(verdict, "seed")


@pytest.mark.parametrize(
    ("start", "spread"),
    [
        ("normal(0.02)", None),
        ("truncated_normal(0.02)", None),
        ("normal()", "0.01"),
        ("truncated_normal(0.01)", "0.0088"),
        ("normal(0.04)", "0.04"),
    ],
)
@pytest.mark.parametrize(
    "key", [KEY, pytest.param(KEY.replace("key(", "PRNGKey("), marks=pytest.mark.slow)]
)
def test_the_spread_of_a_token_is_told_of_however_few_numbers(
    start: str, spread: str | None, key: str, grade_text: Grade
) -> None:
    source = changed(46, (CLS, CLS.replace("normal(0.02)", start)), (KEY, key))
    verdict = grade_text(source, 46, seed=1, **FEW)
    assert failed_checks(verdict) == (["initial"] if spread else [])
    found = message(verdict, "initial").partition("deviation of ")[2].partition(";")[0]
    assert not spread or abs(float(found) / float(spread) - 1) < 0.25
    assert not verdict["remarks"]


def test_what_is_drawn_is_what_the_model_makes_of_it(grade_text: Grade) -> None:
    kinds = (0.02, 1.0, []), (0.02, 0.02, ["numbers"]), (50.0, 0.0004, []), (0.2, 1.0, ["initial"])
    for scale, drawn, failed in kinds:
        start = f"{scale} * self.param({POSITIONS}".replace("0.02)", f"{drawn})")
        source = changed(39, (f"self.param({POSITIONS}", start))
        assert failed_checks(grade_text(source, 39, **FEW))[:1] == failed


def test_a_bias_that_counts_twice_is_not_taken_for_one_that_is_kept_otherwise(
    grade_text: Grade,
) -> None:
    answer = catalogue.ROOT / "tests/answers/38_patch_embed/right/lax_conv_raw_params.py"
    assert failed_checks(grade_text(answer.read_text(), 38, **FEW)) == []
    twice = answer.read_text().replace("return y + self.b", "return y + 2 * self.b")
    assert failed_checks(grade_text(twice, 38, **FEW))[:1] == ["numbers"]


def test_a_table_that_starts_on_one_side_of_zero_fails(grade_text: Grade) -> None:
    one_sided = POSITIONS.replace(DRAWN, "nn.initializers.uniform(0.07)")
    verdict = grade_text(changed(39, (POSITIONS, one_sided)), 39, **FEW)
    assert failed_checks(verdict) == ["initial"]
    assert "not around 0" in message(verdict, "initial")


@pytest.mark.parametrize(("std", "passes"), [(0.02, True), (3**-0.5, False), (None, True)])
def test_an_embedding_has_the_start_that_is_asked_for_or_its_own(
    std: float | None, passes: bool, grade_text: Grade
) -> None:
    start = f", embedding_init=nn.initializers.normal({std})" if std else ""
    table = f'nn.Embed(x.shape[0], x.shape[1]{start}, name="positions").embedding'
    source = changed(39, (f"self.param({POSITIONS}, x.shape)", table))
    verdict = grade_text(source, 39, **FEW)
    assert failed_checks(verdict) == ([] if passes else ["initial"])
    assert bool(verdict["remarks"]) == (std is None)


@pytest.mark.parametrize("number", [39, 46])
def test_a_table_that_starts_evenly_spread_fails(number: int, grade_text: Grade) -> None:
    even = "lambda key, shape: jax.random.uniform(key, shape, minval=-0.0346, maxval=0.0346)"
    source = changed(number, (POSITIONS, POSITIONS.replace(DRAWN, even)))
    verdict = grade_text(source, number, **FEW)
    assert failed_checks(verdict) == ["initial"]
    assert "no number beyond ±0.035" in message(verdict, "initial")


@pytest.mark.parametrize(
    ("old", "new", "remark"),
    [
        ('name="norm_1"', 'name="norm_1", scale_init=nn.initializers.zeros', "start as ones"),
        ('name="mlp_out"', 'name="mlp_out", kernel_init=nn.initializers.zeros', "as a constant"),
    ],
)
def test_a_layer_that_starts_dead_is_remarked_on(
    old: str, new: str, remark: str, grade_text: Grade
) -> None:
    verdict = grade_text(changed(41, (old, new)), 41, **FEW)
    assert verdict["passed"]
    assert [remark in told for told in verdict["remarks"]] == [True]


@pytest.mark.parametrize(
    ("scale", "start", "remarked"),
    [
        ("(1 + g)", "zeros", []),
        ("(1 + g)", "normal(0.02)", ["1 + 'own/g'"]),
        ("g", "normal(0.02)", ["'own/g'"]),
    ],
)
def test_a_scale_that_does_not_start_as_ones_is_remarked_on(
    scale: str, start: str, remarked: list[str], grade_text: Grade
) -> None:
    source = changed(41, ('nn.LayerNorm(name="norm_1")', 'OwnNorm(name="own")'))
    source += f"""

class OwnNorm(nn.Module):
    @nn.compact
    def __call__(self, x):
        g = self.param("g", nn.initializers.{start}, x.shape[-1:])
        b = self.param("b", nn.initializers.zeros, x.shape[-1:])
        return jax.nn.standardize(x, epsilon=1e-6) * {scale} + b
"""
    verdict = grade_text(source, 41, **FEW)
    assert failed_checks(verdict) == []
    says = ", a scale of LayerNorm, does not start as ones"
    assert verdict["remarks"] == [name + says for name in remarked]


def test_registers_and_positions_may_not_start_as_zeros_but_a_lone_token_may(
    grade_text: Grade,
) -> None:
    kinds = (47, REGISTERS, ["initial"]), (39, CLS, []), (39, POSITIONS, ["initial"])
    for number, old, failed in kinds:
        zeros = old.replace(DRAWN, "nn.initializers.zeros")
        verdict = grade_text(changed(number, (old, zeros)), number, **FEW)
        assert failed_checks(verdict) == failed
        assert "starts with zeros" in message(verdict, "initial") + str(verdict["remarks"])


def test_a_key_that_is_used_twice_is_remarked_on(grade_text: Grade) -> None:
    edits = [(start, start.replace(DRAWN, "start")) for start in (CLS, POSITIONS)]
    source = changed(
        39, *edits, ("    params =", "    KEYS[:] = [jax.random.key(seed)]\n    params =")
    )
    source += f"\n\nKEYS = []\n\n\ndef start(_, shape):\n    return {DRAWN}(KEYS[0], shape)\n"
    verdict = grade_text(source, 39, **FEW)
    assert verdict["passed"]
    assert "'cls' and 'positions' start with the same numbers" in str(verdict["remarks"])


def test_stacked_layers_that_start_alike_are_remarked_on(grade_text: Grade) -> None:
    answers = catalogue.ROOT / "tests" / "answers" / "46_vit_cls" / "right"
    text = (answers / "scan_stacked.py").read_text()
    alike = text.replace('split_rngs={"params": True}', 'split_rngs={"params": False}')
    assert alike != text
    verdict = grade_text(alike, 46, **FEW)
    assert verdict["passed"]
    assert "starts with the same numbers" in str(verdict["remarks"])
    assert grade_text(text, 46, **FEW)["remarks"] == []


def test_parameters_that_follow_from_the_hash_of_a_text_differ_elsewhere(
    grade_text: Grade,
) -> None:
    text = changed(39, (KEY, "init(jax.random.key(hash(str(seed)) % 2**31)"))
    verdict = grade_text(text, 39, **{**FEW, "two_children": True})
    assert failed_checks(verdict)[0] == "repeats"
    numbers = changed(39, (KEY, "init(jax.random.key(hash((seed, 1.5)) % 2**31)"))
    assert failed_checks(grade_text(numbers, 39, **FEW)) == ["seed"]


def test_another_result_for_the_same_seed_is_not_told_as_a_seed_ignored(grade_text: Grade) -> None:
    source = changed(39, (KEY, "init(jax.random.key(seed + (len(CALLS) > 1))"))
    source = source.replace("    params = ", "    CALLS.append(seed)\n    params = ")
    verdict = grade_text(source + "\n\nCALLS = []\n", 39, cases=12, shapes=4)
    assert failed_checks(verdict) == ["seed"]
    assert "same seed gave different parameters" in message(verdict, "seed")
    assert verdict["diagnoses"] == []


@pytest.mark.parametrize(
    "parameters",
    [
        "0.02 * jax.random.normal(jax.random.key(seed), (1, tokens.shape[1]))",
        "nnx.Param(nnx.initializers.normal(0.02)(nnx.Rngs(seed)(), (1, tokens.shape[1])))[...]",
    ],
)
def test_parameters_without_linen_are_told_as_such(parameters: str, grade_text: Grade) -> None:
    source = (
        "import jax\nimport jax.numpy as jnp\nfrom flax import nnx\n\n"
        f"def cls_and_position_forward(seed, tokens):\n    cls = {parameters}\n"
        "    x = jnp.concatenate([cls, tokens])\n"
        "    return x + 0.02 * jax.random.normal(jax.random.key(seed + 1), x.shape)\n"
    )
    verdict = grade_text(source, 39, cases=12, shapes=4)
    assert failed_checks(verdict)[0] == "parameters"
    assert [diagnosis["pitfall"] for diagnosis in verdict["diagnoses"]] == ["not-linen"]


def test_a_value_kept_from_an_earlier_call_is_told_as_such(grade_text: Grade) -> None:
    source = changed(39, ("    params = model", "    params = KEPT.setdefault(tokens.shape, model"))
    source = source.replace("key(seed), tokens)\n", "key(seed), tokens))\n")
    verdict = grade_text(source + "\n\nKEPT = {}\n", 39, cases=12, shapes=4)
    assert not verdict["passed"]
    assert [diagnosis["pitfall"] for diagnosis in verdict["diagnoses"]] == ["kept-from-earlier"]


@pytest.mark.parametrize("number", [38, 39, 40, 41, 45, 46, 47, 48])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_draw_has_everything_twice_however_many_there_are(number: int, seed: int) -> None:
    problem = catalogue.problem(number)
    many, few = (
        draws_with_corners(problem, np.random.default_rng(seed), count) for count in (10, 3)
    )
    assert many[0] == few[0]
    found = many[ample(many)]
    assert found == few[ample(few)] != many[0]
    assert found.tells
    assert all(value > 1 for value in found.fields.values() if isinstance(value, int))


def test_numbers_that_repeat_do_not_look_drawn() -> None:
    drawn = np.random.default_rng(0).normal(size=(4, 6))
    assert looks_drawn(drawn)
    fixed = (np.zeros((4, 6)), np.ones(5), np.eye(4), np.full(3, 0.5), np.tile(drawn[:1], (2, 1)))
    assert not any(map(looks_drawn, fixed))


def test_what_a_step_keeps_from_an_earlier_one_is_no_numpy_function(grade_text: Grade) -> None:
    call = 'teacher_apply({"params": teacher_params}, images)'
    kept = f"KEPT.setdefault(images.shape, {call})"
    source = changed(49, (f"stop_gradient({call})", f"stop_gradient({kept})"))
    verdict = grade_text(source + "\n\nKEPT = {}\n", 49, cases=6, shapes=2)
    assert [diagnosis["pitfall"] for diagnosis in verdict["diagnoses"]] == ["kept-from-earlier"]
