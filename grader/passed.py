"""Which texts are known to have passed: ``use`` gives a student's own block only then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


def fingerprint(source: str) -> str:
    """A hash of a submission's text."""
    return hashlib.sha256(source.encode()).hexdigest()


@dataclass(frozen=True)
class PassedTexts:
    """Says whether a text has passed as the answer to a problem; plain data, so it travels.

    Attributes:
      hashes: the ``fingerprint`` of the text that passed, by problem.

    """

    hashes: Mapping[int, str] = field(default_factory=dict)

    def __call__(self, number: int, source: str) -> bool:
        """Whether exactly this text has passed as the answer to problem ``number``."""
        return self.hashes.get(number) == fingerprint(source)
