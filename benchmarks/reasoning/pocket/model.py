"""The laboratory's models before their training: the small one from nothing, the large one grown from it.

Numbers that are near or end alike begin with like embeddings. Sums are learned sooner when an embedding is
a point on circles of several periods, as trained models have them. Sources: Nanda et al., "Progress
measures for grokking via mechanistic interpretability" (2023), and Zhou et al., "FoNE: Precise Single-Token
Number Embeddings via Fourier Features" (2025).
"""

import math

import torch
from torch import Tensor
from torch.nn import Module
from transformers import LlamaForCausalLM

from benchmarks.reasoning.pocket.wiring import wire
from benchmarks.reasoning.pocket.words import NUMBERS, VOCABULARY, number_id
from zoran_ray.pocket.train import POCKET, Shape, build_model

SIZES = {"small": POCKET, "large": Shape(hidden=128, layers=8, heads=4, mlp=6)}
"""1.05 M and 3.1 M parameters: 2.1 and 6.2 MB as they are stored. Both streams are of one width."""

_PERIODS = (2, 3, 4, 5, 7, 10, 20, 25, 50, 100, 200, 500, 1000, 2000)
_LOG_PERIODS = (0.6, 1.2, 2.4, 4.8)
"""Of the logarithm, in which a product is a sum."""
_SCALE = 0.02
"""Of any embedding at the start."""


def untrained(size: str, seed: int) -> LlamaForCausalLM:
    """A model of a size, the same for the same seed."""
    model = build_model(seed, SIZES[size], VOCABULARY)
    circled(model)
    wire(model)
    return model


def grown(small: LlamaForCausalLM, size: str, seed: int) -> LlamaForCausalLM:
    """A larger model that says what a smaller one of the same width says, with room to learn more.

    The new layers stand behind the old ones, and with the new neurons add nothing yet. Source: Chen et al.,
    "Net2Net: Accelerating Learning via Knowledge Transfer" (2015).
    """
    large = build_model(seed, SIZES[size], VOCABULARY)
    large.model.embed_tokens.load_state_dict(small.model.embed_tokens.state_dict())
    large.model.norm.load_state_dict(small.model.norm.state_dict())
    every = len(large.model.layers) // len(small.model.layers)
    with torch.no_grad():
        for place, layer in enumerate(large.model.layers):
            layer.mlp.down_proj.weight.zero_()
            if place % every:
                layer.self_attn.o_proj.weight.zero_()
            else:
                _take_over(layer, small.model.layers[place // every])
    return large


def _take_over(layer: Module, old: Module) -> None:
    """Puts the weights of a layer into one with at least as many neurons."""
    wide, own = dict(layer.named_parameters()), dict(old.named_parameters())
    for name, weight in own.items():
        wide[name][tuple(map(slice, weight.shape))] = weight


def circled(model: LlamaForCausalLM) -> None:
    """Puts the embeddings of numbers on circles."""
    table = model.model.embed_tokens.weight.data
    circles = _circles(torch.arange(NUMBERS, dtype=torch.float32))
    turned, _ = torch.linalg.qr(torch.randn(max(table.size(1), circles.size(1)), circles.size(1)))
    points = circles @ turned[: table.size(1)].T
    ids = [number_id(number) for number in range(NUMBERS)]
    # What a random start gives keeps a part, by which two numbers on like circles differ.
    table[ids] = 0.3 * table[ids] + _SCALE * points / points.square().mean().sqrt()


def _circles(numbers: Tensor) -> Tensor:
    """Cosines and sines, `float32[numbers, features]`."""
    turns = [numbers / period for period in _PERIODS]
    turns += [torch.log1p(numbers) / period for period in _LOG_PERIODS]
    angles = 2 * math.pi * torch.stack(turns, dim=1)
    return torch.cat([angles.cos(), angles.sin()], dim=1)
