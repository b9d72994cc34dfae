"""Problems 41 and 46 in PyTorch: ``python torch_oracle.py IN.npz OUT.npy``, run by the test."""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn


def encoder_layer(weights: dict[str, np.ndarray], prefix: str, heads: int) -> nn.Module:
    """PyTorch's own pre-LN layer with the weights of one of our blocks."""

    def get(name: str) -> torch.Tensor:
        return torch.tensor(weights[prefix + name], dtype=torch.float64)

    width, hidden = weights[prefix + "mlp_in/kernel"].shape
    layer = nn.TransformerEncoderLayer(
        width,
        heads,
        hidden,
        dropout=0.0,
        activation=lambda x: nn.functional.gelu(x, approximate="tanh"),
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=True,
        dtype=torch.float64,
    )
    kernels = [get(f"attention/{name}/kernel").reshape(width, width).T for name in QKV]
    biases = [get(f"attention/{name}/bias").reshape(width) for name in QKV]
    state = {
        "self_attn.in_proj_weight": torch.cat(kernels),
        "self_attn.in_proj_bias": torch.cat(biases),
        "self_attn.out_proj.weight": get("attention/out/kernel").reshape(width, width).T,
        "self_attn.out_proj.bias": get("attention/out/bias"),
        "linear1.weight": get("mlp_in/kernel").T,
        "linear1.bias": get("mlp_in/bias"),
        "linear2.weight": get("mlp_out/kernel").T,
        "linear2.bias": get("mlp_out/bias"),
        "norm1.weight": get("norm_1/scale"),
        "norm1.bias": get("norm_1/bias"),
        "norm2.weight": get("norm_2/scale"),
        "norm2.bias": get("norm_2/bias"),
    }
    layer.load_state_dict(state)
    return layer


QKV = ("query", "key", "value")


def vit(
    weights: dict[str, np.ndarray], image: torch.Tensor, patch: int, heads: int
) -> torch.Tensor:
    """A small ViT with a CLS token, one image (H, W, C)."""

    def get(name: str) -> torch.Tensor:
        return torch.tensor(weights[name], dtype=torch.float64)

    kernel = get("patch_embed/projection/kernel").permute(3, 2, 0, 1)
    grid = nn.functional.conv2d(
        image.permute(2, 0, 1)[None], kernel, get("patch_embed/projection/bias"), stride=patch
    )
    tokens = grid.flatten(2).transpose(1, 2)
    tokens = torch.cat([get("cls")[None], tokens], dim=1) + get("positions")
    layer = 0
    while f"block_{layer}/mlp_in/kernel" in weights:
        tokens = encoder_layer(weights, f"block_{layer}/", heads)(tokens)
        layer += 1
    scale, bias = get("final_norm/scale"), get("final_norm/bias")
    tokens = nn.functional.layer_norm(tokens, scale.shape, scale, bias, eps=1e-6)
    return tokens[0, 0] @ get("head/kernel") + get("head/bias")


def main() -> None:
    """Read weights and input, write the output."""
    data = np.load(sys.argv[1])
    weights = {name[2:]: data[name] for name in data.files if name.startswith("w:")}
    x = torch.tensor(data["x"], dtype=torch.float64)
    heads = int(data["num_heads"])
    with torch.no_grad():
        if "patch_size" in data.files:
            result = vit(weights, x, int(data["patch_size"]), heads)
        else:
            result = encoder_layer(weights, "", heads).train()(x[None])[0]
    np.save(sys.argv[2], result.numpy())


if __name__ == "__main__":
    main()
