"""Problem 42: the MLP."""

from __future__ import annotations

from grader.problem import ArraySpec, Contract, Edit, Pitfall, Problem, Stage

PROBLEM = Problem(
    number=42,
    slug="mlp",
    title="The MLP",
    teaches="two linear maps",
    contracts=(
        Contract(
            function="mlp_forward",
            arguments=("seed", "tokens", "hidden"),
            outputs=("tokens",),
            arrays=lambda s: {"tokens": ArraySpec((s["num_tokens"], s["d_model"]))},
        ),
    ),
    fields={"num_tokens": range(2, 10), "d_model": range(4, 17), "hidden": range(5, 20)},
    derive=dict,
    tells=lambda s: len({s["num_tokens"], s["d_model"], s["hidden"]}) == 3,
    corners=({"num_tokens": 1, "d_model": 5, "hidden": 3},),
    symbols=lambda s: {"N": s["num_tokens"], "D": s["d_model"], "H": s["hidden"]},
    blocks=(),
    stages=(Stage("up", "widened"), Stage("gelu", "bent")),
    pitfalls=(
        Pitfall(
            id="mlp-relu",
            title="ReLU instead of GELU",
            advice="The nonlinearity is GELU.",
            edits=(Edit("nn.gelu(h)", "nn.relu(h)"),),
            stage="gelu",
            hints=("Which nonlinearity?", "GELU."),
        ),
    ),
    hints=("Two maps.", "Widen, bend, narrow.", "Dense, gelu, Dense."),
)
