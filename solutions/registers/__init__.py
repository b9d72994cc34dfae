"""The register lab: what becomes of the patch tokens inside a trained ViT.

    from solutions.registers import study_registers    # a model and images
    from solutions.registers.lab import examine        # a run

| module | what is there |
|---|---|
| `capture` | tokens, keys and attention of every layer, from one forward pass |
| `norms` | norms of patch tokens, outliers, similarity to the neighbours |
| `class_attention` | entropy and maximum of what CLS attends to |
| `probes` | linear probes: position, pixels, class from a single token |
| `boxes` | an object's box from the keys of the last layer, after LOST; CorLoc |
| `canvas` | images with a known box: a small image pasted on a canvas |
| `planted` | a model made to have high-norm tokens, to see the instruments work |
| `study` | all of that on one model: `study_registers` |
| `moments` | the short examination, for checkpoints along a training |
| `subjects`, `lab` | trained runs as subjects; from runs to the page |
| `report`, `panels` | the page, and its pictures |
| `record` | the numbers of the page as JSON |
| `plots` | Matplotlib on top of the arrays |

Artefacts as in Darcet et al. 2024 are reported for large models that were trained for long. A
small model may well have none; the numbers here say what is there.
"""

from solutions.registers.study import Images, Study, Subject, study_registers

__all__ = ["Images", "Study", "Subject", "study_registers"]
