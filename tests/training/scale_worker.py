"""Train the tiny recipe in a process of its own and save the parameters; see `test_scale`.

Arguments: where to save, ``fsdp`` or ``plain``, and for several processes: port, count, id.
On one device the run has a folder, and what it has left of the process is written beside.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from solutions.training import merged_axes, train
from solutions.training.data import Dataset
from solutions.training.devices import join_processes
from tests.training.conftest import CLASSES, TINY, shades


def main(target: str, how: str, *several: str) -> None:
    if several:
        port, count, number = several
        join_processes(f"127.0.0.1:{port}", int(count), int(number))
    data = Dataset("shades", *shades(40), *shades(11, 1), CLASSES)
    drops = {"depth": 2, "drop_path": 0.2}  # which a single block would never do
    recipe = dataclasses.replace(TINY, shift=1, ema=0.9, optimizer="muon", **drops)
    alone = jax.device_count() == 1
    if not alone:
        merged_axes._LARGE = 0  # all products become products of two matrices, as large ones do
    out = f"{target}.run" if alone else None
    before = list(logging.root.handlers)
    trained = train(recipe, data=data, seed=2, fsdp=how == "fsdp", out=out)
    if alone:
        left = {
            "types": sorted({str(leaf.dtype) for leaf in jax.tree.leaves(trained.state)}),
            "float64 is on": jax.config.jax_enable_x64,
            "handlers are the same": logging.root.handlers == before,
            "of the engine": [name for name in sys.modules if name.startswith("grader.engine")],
        }
        Path(f"{target}.json").write_text(json.dumps(left))
    divided = [
        leaf for leaf in jax.tree.leaves(trained.state) if not leaf.sharding.is_fully_replicated
    ]
    # Attention does not change with the bias of its keys (it adds the same to all scores of a
    # query), so that bias has no gradient but rounding errors, which Adam makes steps of.
    found = jax.tree_util.tree_leaves_with_path(trained.state["params"])
    leaves = [leaf for path, leaf in found if "['key']['bias']" not in jax.tree_util.keystr(path)]
    if several:
        leaves = [multihost_utils.process_allgather(leaf, tiled=True) for leaf in leaves]
    if jax.process_index() == 0:
        history = np.array([line["test_loss"] for line in trained.history])
        told = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}
        devices = np.array(jax.device_count())
        np.savez(target, history=history, devices=devices, divided=np.array(len(divided)), **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
