"""Linear probes: what can be read from a token by a linear map.

scikit-learn fits them, on features scaled to mean 0 and variance 1. A probe is fitted on some
images and judged on others. Kinds of tokens (outliers, normal ones) are judged by the same
probe, which was fitted on all tokens of the first images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class PositionScore(NamedTuple):
    """How well a token tells where it stands.

    Attributes:
      accuracy: the share of tokens whose patch was named.
      distance: the mean Euclidean distance between the named and the true patch, in patches.
      count: how many tokens were judged; with none the other two are NaN.

    """

    accuracy: float
    distance: float
    count: int


def linear_probe(
    train: Float[np.ndarray, "n D"],
    train_labels: Int[np.ndarray, " n"],
    test: Float[np.ndarray, "m D"],
    test_labels: Int[np.ndarray, " m"],
) -> float:
    """The accuracy of a logistic regression on frozen features.

    Args:
      train: features (n, D) that it is fitted on.
      train_labels: their classes (n,), at least two.
      test: features (m, D) that it is judged on.
      test_labels: their classes (m,).

    Returns:
      The share of right answers on ``test``.

    """
    return float((_classifier(train, train_labels).predict(test) == test_labels).mean())


def position_probe(
    train: Float[np.ndarray, "B N D"],
    test: Float[np.ndarray, "b N D"],
    grid: tuple[int, int],
    among: Bool[np.ndarray, "b N"] | None = None,
) -> PositionScore:
    """How well the position of a patch can be read from its token.

    Args:
      train: patch tokens (B, N, D) that it is fitted on.
      test: patch tokens (b, N, D) of other images.
      grid: rows and columns of patches.
      among: which tokens of ``test`` to judge; None for all.

    Source: Darcet et al. 2024, figure 5b.

    """
    return position_probes(train, test, grid, {"": among})[""]


def position_probes(
    train: Float[np.ndarray, "B N D"],
    test: Float[np.ndarray, "b N D"],
    grid: tuple[int, int],
    kinds: Mapping[str, Bool[np.ndarray, "b N"] | None],
) -> dict[str, PositionScore]:
    """`position_probe` for several kinds of tokens (by name) with one fit, which takes long."""
    patches = np.arange(train.shape[1])
    probe = _classifier(train.reshape(-1, train.shape[-1]), np.tile(patches, len(train)))
    named = probe.predict(_flat(test)).reshape(test.shape[:2])
    apart = np.stack(np.divmod(named, grid[1])) - np.stack(np.divmod(patches, grid[1]))[:, None]
    distance = np.hypot(*apart)
    scores = {}
    for kind, among in kinds.items():
        chosen = np.ones(test.shape[:2], bool) if among is None else among
        count = int(chosen.sum())
        scores[kind] = (
            PositionScore(
                float((named == patches)[chosen].mean()), float(distance[chosen].mean()), count
            )
            if count
            else PositionScore(float("nan"), float("nan"), 0)
        )
    return scores


def pixel_probe(
    train: Float[np.ndarray, "B N D"],
    train_pixels: Float[np.ndarray, "B N P"],
    test: Float[np.ndarray, "b N D"],
    test_pixels: Float[np.ndarray, "b N P"],
    among: Bool[np.ndarray, "b N"] | None = None,
) -> float:
    """How well the pixels of a patch can be read from its token, by ridge regression.

    Args:
      train: patch tokens (B, N, D) that it is fitted on.
      train_pixels: the pixels of these patches, flattened, (B, N, P).
      test: patch tokens (b, N, D) of other images.
      test_pixels: the pixels of those.
      among: which tokens of ``test`` to judge; None for all.

    Returns:
      The mean Euclidean distance between the read and the true pixels of a patch; NaN when no
      token is judged. What the mean patch of ``train_pixels`` would get is the number to
      compare with.

    Source: Darcet et al. 2024, figure 5b (reconstruction, L2 error).

    """
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = np.ones(test.shape[:2], bool) if among is None else among
    if not chosen.any():
        return float("nan")
    probe = make_pipeline(StandardScaler(), Ridge())
    probe.fit(_flat(train), _flat(train_pixels))
    read = probe.predict(test[chosen])
    return float(np.linalg.norm(read - test_pixels[chosen], axis=-1).mean())


def single_token_probe(
    train: Float[np.ndarray, "B N D"],
    train_labels: Int[np.ndarray, " B"],
    test: Float[np.ndarray, "b N D"],
    test_labels: Int[np.ndarray, " b"],
    seed: int = 0,
    train_among: Bool[np.ndarray, "B N"] | None = None,
    test_among: Bool[np.ndarray, "b N"] | None = None,
) -> float:
    """How well the class of an image can be read from one of its patch tokens.

    From every image one token is drawn, of those that count; an image without any is left out.

    Args:
      train: patch tokens (B, N, D) that it is fitted on.
      train_labels: the classes of these images.
      test: patch tokens (b, N, D) of other images.
      test_labels: the classes of those.
      seed: of the draw.
      train_among: which tokens of ``train`` count (say, the outliers); None for all.
      test_among: the same for ``test``.

    Returns:
      The accuracy on the drawn tokens of ``test``; NaN when none is left there, or when the
      tokens left in ``train`` are of fewer than two classes.

    Source: Darcet et al. 2024, table 1.

    """
    generator = np.random.default_rng(seed)
    fitted, labels = _one_each(train, train_labels, train_among, generator)
    judged, truth = _one_each(test, test_labels, test_among, generator)
    if len(np.unique(labels)) < 2 or not len(truth):
        return float("nan")
    return linear_probe(fitted, labels, judged, truth)


def _one_each(
    tokens: Float[np.ndarray, "B N D"],
    labels: Int[np.ndarray, " B"],
    among: Bool[np.ndarray, "B N"] | None,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "b D"], Int[np.ndarray, " b"]]:
    chosen = np.ones(tokens.shape[:2], bool) if among is None else among
    images = np.flatnonzero(chosen.any(axis=1))
    drawn = [generator.choice(np.flatnonzero(chosen[i])) for i in images]
    return tokens[images, np.asarray(drawn, int)], labels[images]


def _classifier(features: Float[np.ndarray, "n D"], labels: Int[np.ndarray, " n"]) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, labels)


def _flat(x: Float[np.ndarray, "B N K"]) -> Float[np.ndarray, "B*N K"]:
    return x.reshape(-1, x.shape[-1])
