"""From the tensors of Hugging Face's layouts to the models of this package.

Weights of PyTorch's linear layers are (out, in), kernels here (in, out); heads stand in blocks
along the output of q, k and v and along the input of the output projection, in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from solutions.distillation.clip import ClipText, ClipVision
from solutions.distillation.dinov2 import DinoRegisters
from solutions.distillation.encoder import ACTIVATIONS, Activation
from solutions.distillation.safetensors_file import Checkpoint, PretrainedError

Params = dict[str, Any]

_CLIP_HEAD_DIM = 64
"""OpenAI's CLIPs have heads of 64 channels, which a file without configuration relies on."""


def clip_vision(checkpoint: Checkpoint) -> tuple[ClipVision, Params]:
    """CLIP's vision tower with its projection.

    Args:
      checkpoint: a file of ``CLIPVisionModelWithProjection`` or of a whole ``CLIPModel``.

    Returns:
      The model and its parameters.

    Raises:
      PretrainedError: tensors are missing, or the configuration asks for what is not here.

    """
    at = "vision_model."
    config = _part(checkpoint.config, "vision_config")
    patch = checkpoint[at + "embeddings.patch_embedding.weight"]
    layers = at + "encoder.layers"
    width = patch.shape[0]
    model = ClipVision(
        patch_size=patch.shape[-1],
        d_model=width,
        num_heads=_heads(config, width),
        d_ff=checkpoint[f"{layers}.0.mlp.fc1.bias"].shape[0],
        num_layers=checkpoint.count(layers),
        output_dim=checkpoint["visual_projection.weight"].shape[0],
        activation=_activation(config, "quick_gelu"),
        epsilon=config.get("layer_norm_eps", 1e-5),
    )
    params: Params = {
        "patch_embed": {"kernel": _convolution(patch)},
        "cls": checkpoint[at + "embeddings.class_embedding"][None],
        "positions": checkpoint[at + "embeddings.position_embedding.weight"],
        # The name is misspelt in the files.
        "norm_before": _norm(checkpoint, at + "pre_layrnorm"),
        "final_norm": _norm(checkpoint, at + "post_layernorm"),
        "projection": {"kernel": checkpoint["visual_projection.weight"].T},
    }
    for i in range(model.num_layers):
        params[f"block_{i}"] = _clip_block(checkpoint, f"{layers}.{i}", model.num_heads)
    return model, params


def clip_text(checkpoint: Checkpoint) -> tuple[ClipText, Params]:
    """CLIP's text tower with its projection; arguments and errors as for `clip_vision`.

    The file is one of ``CLIPTextModelWithProjection`` or of a whole ``CLIPModel``.
    """
    at = "text_model."
    config = _part(checkpoint.config, "text_config")
    tokens = checkpoint[at + "embeddings.token_embedding.weight"]
    positions = checkpoint[at + "embeddings.position_embedding.weight"]
    layers = at + "encoder.layers"
    model = ClipText(
        vocabulary=tokens.shape[0],
        context_length=positions.shape[0],
        d_model=tokens.shape[1],
        num_heads=_heads(config, tokens.shape[1]),
        d_ff=checkpoint[f"{layers}.0.mlp.fc1.bias"].shape[0],
        num_layers=checkpoint.count(layers),
        output_dim=checkpoint["text_projection.weight"].shape[0],
        activation=_activation(config, "quick_gelu"),
        epsilon=config.get("layer_norm_eps", 1e-5),
    )
    params: Params = {
        "token_embedding": {"embedding": tokens},
        "positions": positions,
        "final_norm": _norm(checkpoint, at + "final_layer_norm"),
        "projection": {"kernel": checkpoint["text_projection.weight"].T},
    }
    for i in range(model.num_layers):
        params[f"block_{i}"] = _clip_block(checkpoint, f"{layers}.{i}", model.num_heads)
    return model, params


def dinov2_registers(checkpoint: Checkpoint) -> tuple[DinoRegisters, Params]:
    """DINOv2 with registers, from a file of ``Dinov2WithRegistersModel``.

    Args:
      checkpoint: the file with its configuration, which says how many heads there are.

    Returns:
      The model, with the grid that its position table is for, and its parameters.

    Raises:
      PretrainedError: tensors are missing, there is no configuration, or the MLP is a SwiGLU
        (only the giant model has that one).

    """
    if "num_attention_heads" not in checkpoint.config:
        raise PretrainedError(f"{checkpoint.name} needs its config.json: it says how many heads")
    if checkpoint.config.get("use_swiglu_ffn"):
        raise PretrainedError(f"{checkpoint.name} has SwiGLU MLPs, which are not supported here")
    if _activation(checkpoint.config, "gelu") is not ACTIVATIONS["gelu"]:
        raise PretrainedError(f"{checkpoint.name} does not use the exact GELU, as DINOv2 does")
    patch = checkpoint["embeddings.patch_embeddings.projection.weight"]
    positions = checkpoint["embeddings.position_embeddings"][0]
    registers = checkpoint["embeddings.register_tokens"][0]
    side = math.isqrt(positions.shape[0] - 1)
    model = DinoRegisters(
        patch_size=patch.shape[-1],
        d_model=patch.shape[0],
        num_heads=checkpoint.config["num_attention_heads"],
        d_ff=checkpoint["encoder.layer.0.mlp.fc1.bias"].shape[0],
        num_layers=checkpoint.count("encoder.layer"),
        num_registers=registers.shape[0],
        trained_grid=(side, side),
        epsilon=checkpoint.config.get("layer_norm_eps", 1e-6),
    )
    bias = checkpoint["embeddings.patch_embeddings.projection.bias"]
    params: Params = {
        "patch_embed": {"projection": {"kernel": _convolution(patch), "bias": bias}},
        "cls": checkpoint["embeddings.cls_token"][0],
        "positions": positions,
        "registers": registers,
        "final_norm": _norm(checkpoint, "layernorm"),
    }
    for i in range(model.num_layers):
        params[f"block_{i}"] = _dinov2_block(checkpoint, f"encoder.layer.{i}", model.num_heads)
    return model, params


def _clip_block(checkpoint: Checkpoint, at: str, heads: int) -> Params:
    attention = {
        name: _split_out(checkpoint, f"{at}.self_attn.{name[0]}_proj", heads)
        for name in ("query", "key", "value")
    }
    return {
        "norm_1": _norm(checkpoint, f"{at}.layer_norm1"),
        "attention": attention | {"out": _split_in(checkpoint, f"{at}.self_attn.out_proj", heads)},
        "norm_2": _norm(checkpoint, f"{at}.layer_norm2"),
        "mlp_in": _linear(checkpoint, f"{at}.mlp.fc1"),
        "mlp_out": _linear(checkpoint, f"{at}.mlp.fc2"),
    }


def _dinov2_block(checkpoint: Checkpoint, at: str, heads: int) -> Params:
    attention = {
        name: _split_out(checkpoint, f"{at}.attention.attention.{name}", heads)
        for name in ("query", "key", "value")
    }
    out = _split_in(checkpoint, f"{at}.attention.output.dense", heads)
    return {
        "norm_1": _norm(checkpoint, f"{at}.norm1"),
        "attention": attention | {"out": out},
        "scale_1": {"scale": checkpoint[f"{at}.layer_scale1.lambda1"]},
        "norm_2": _norm(checkpoint, f"{at}.norm2"),
        "mlp_in": _linear(checkpoint, f"{at}.mlp.fc1"),
        "mlp_out": _linear(checkpoint, f"{at}.mlp.fc2"),
        "scale_2": {"scale": checkpoint[f"{at}.layer_scale2.lambda1"]},
    }


def _norm(checkpoint: Checkpoint, at: str) -> Params:
    return {"scale": checkpoint[f"{at}.weight"], "bias": checkpoint[f"{at}.bias"]}


def _linear(checkpoint: Checkpoint, at: str) -> Params:
    return {"kernel": checkpoint[f"{at}.weight"].T, "bias": checkpoint[f"{at}.bias"]}


def _split_out(checkpoint: Checkpoint, at: str, heads: int) -> Params:
    """A projection whose output is split into heads: kernel (D, H, d), bias (H, d)."""
    kernel, bias = checkpoint[f"{at}.weight"].T, checkpoint[f"{at}.bias"]
    return {
        "kernel": kernel.reshape(kernel.shape[0], heads, -1),
        "bias": bias.reshape(heads, -1),
    }


def _split_in(checkpoint: Checkpoint, at: str, heads: int) -> Params:
    """A projection whose input is split into heads: kernel (H, d, D), bias (D,)."""
    kernel = checkpoint[f"{at}.weight"].T
    return {
        "kernel": kernel.reshape(heads, -1, kernel.shape[1]),
        "bias": checkpoint[f"{at}.bias"],
    }


def _convolution(weight: np.ndarray) -> np.ndarray:
    """(out, in, height, width) to (height, width, in, out)."""
    return weight.transpose(2, 3, 1, 0)


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The configuration of one tower, which stands in that of the whole or by itself."""
    part: Mapping[str, Any] = config.get(name) or config
    return part


def _heads(config: Mapping[str, Any], width: int) -> int:
    heads = config.get("num_attention_heads", width // _CLIP_HEAD_DIM)
    if heads < 1 or width % heads:
        raise PretrainedError(
            f"a width of {width} does not split into {heads} heads: the config.json is missing "
            f"or belongs to another model"
        )
    return int(heads)


def _activation(config: Mapping[str, Any], usual: str) -> Activation:
    name = config.get("hidden_act", usual)
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise PretrainedError(f"the activation {name} is not known here; known are {known}")
    return ACTIVATIONS[name]
