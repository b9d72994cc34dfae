"""Small random models of Hugging Face's transformers, with what they compute.

    pip install torch transformers && python -m tests.distillation.make_dumps

writes the folders under ``tests/distillation/dumps`` anew: for each model its files as
``save_pretrained`` makes them, and ``expected.npz`` with inputs, hidden states and embeddings.
``python -m tests.distillation.make_dumps FOLDER SEED`` writes others elsewhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)

DUMPS = Path(__file__).with_name("dumps")
IMAGE = 12


def widen(model: torch.nn.Module) -> torch.nn.Module:
    """Random numbers for every parameter: the initial ones hide mistakes."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.3 if parameter.ndim > 1 else 0.5
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + scale * torch.randn_like(parameter))
    return model.eval()


def save(model: torch.nn.Module, folder: Path, **arrays: torch.Tensor) -> None:
    model.save_pretrained(folder)
    for name in ("generation_config.json",):
        (folder / name).unlink(missing_ok=True)
    np.savez_compressed(folder / "expected.npz", **{k: v.numpy() for k, v in arrays.items()})


def clip(folder: Path) -> None:
    config = CLIPConfig(
        projection_dim=10,
        vision_config={
            "hidden_size": 18,
            "intermediate_size": 28,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "image_size": IMAGE,
            "patch_size": 4,
            "projection_dim": 10,
        },
        text_config={
            "vocab_size": 23,
            "hidden_size": 12,
            "intermediate_size": 20,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 9,
            "bos_token_id": 21,
            "eos_token_id": 22,
            "pad_token_id": 1,
            "projection_dim": 10,
        },
    )
    model = widen(CLIPModel(config))
    model.set_attn_implementation("eager")  # the others do not tell their attention weights
    pixels = torch.randn(2, 3, IMAGE, IMAGE)
    # The end-of-text token stands in the middle, then padding.
    ids = torch.tensor([[21, 4, 7, 22, 1, 1], [21, 9, 3, 5, 2, 22]])
    seen = model.vision_model(pixels, output_hidden_states=True, output_attentions=True)
    save(
        model,
        folder,
        pixels=pixels,
        hidden_states=torch.stack(seen.hidden_states),
        attentions=torch.stack(seen.attentions),
        image_embeds=model.visual_projection(seen.pooler_output),
        token_ids=ids,
        text_embeds=model.text_projection(model.text_model(ids).pooler_output),
    )


def dinov2(folder: Path) -> None:
    config = Dinov2WithRegistersConfig(
        hidden_size=14,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=IMAGE,
        patch_size=4,
        num_register_tokens=3,
    )
    model = widen(Dinov2WithRegistersModel(config))
    pixels = torch.randn(2, 3, IMAGE, IMAGE)
    larger = torch.randn(1, 3, 20, 16)
    seen = model(pixels, output_hidden_states=True)
    save(
        model,
        folder,
        pixels=pixels,
        hidden_states=torch.stack(seen.hidden_states),
        last_hidden_state=seen.last_hidden_state,
        larger=larger,
        larger_last_hidden_state=model(larger).last_hidden_state,
    )


def main(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        clip(folder / "clip")
        dinov2(folder / "dinov2")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else DUMPS, int(sys.argv[2]) if sys.argv[2:] else 0)
