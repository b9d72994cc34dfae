"""Distillation: a student without CLS token learns the embeddings of a CLIP-like teacher.

    from solutions.distillation import Distillation, distill
    distilled = distill(Distillation(loss="cosine"), seed=0)
    distilled.history[-1]["test_cosine"]

| module | what is there |
|---|---|
| `student` | `ViTExtraHead` in full, the model of problem 48 with what problem 48 leaves out |
| `attention` | self-attention, plain and in two other layouts that compute the same |
| `neighbours` | the mask that lets a patch attend only to the patches around it |
| `encoder` | the pre-LN block with the options that CLIP, DINOv2 and the student need |
| `clip`, `dinov2` | CLIP's two towers; DINOv2 with registers |
| `pretrained` | their weights, from a path or from the Hugging Face hub |
| `teacher` | what a distillation step needs to know of a teacher |
| `run_teacher` | a trained run of ours as a teacher |
| `pinning` | the teacher that a distillation names, the same one when it is resumed |
| `losses` | the losses, each with its exact form |
| `settings` | every choice of a distillation in one record |
| `objectives`, `task`, `run` | loss and step for the loop of `solutions.training`; `distill` |
| `folder` | the folder of a distillation |
| `measure` | student and teacher in numbers |
| `queries` | embeddings to search with, from files and of texts |
| `tokenizer` | from a text to the ids that CLIP's text tower reads |
| `views`, `report` | where both look, what both find; the page |
| `pictures` | maps and overlays, as arrays |
| `retrieval` | search, similarity, agreement and the linear probe, as arrays |
| `plots` | Matplotlib on top of the arrays |
"""

from solutions.distillation.run import Distilled, distill
from solutions.distillation.settings import Distillation

__all__ = ["Distillation", "Distilled", "distill"]
