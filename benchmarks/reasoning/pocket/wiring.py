"""Gives a model two heads that copy, before it is trained: an induction pair.

One head of the first layer looks at the token before, one of the second at what came after the same token
earlier. Models come to this by themselves, but late, and before it they carry nothing from a question into
an answer. Source: Olsson et al., "In-context Learning and Induction Heads" (2022).
"""

import math

import torch
from torch import Tensor
from torch.nn import Module
from transformers import LlamaForCausalLM

_SHARP = 10.0
"""Logit with which the token before stands out for each frequency of the rotation; likewise below."""
_SIMILAR = 12.0
"""Logit of a token that is the same as this one."""
_FAST = 3
"""Frequencies that tell one place from the next, the highest first."""


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
def wire(model: LlamaForCausalLM) -> None:
    """Sets the first heads of the first two layers, and gives all embeddings a part in common."""
    first, second = model.model.layers[0], model.model.layers[1]
    size, width = model.config.head_dim, model.config.hidden_size
    table = model.model.embed_tokens.weight
    # Queries that depend on the place alone need something that all tokens have.
    common = torch.randn(width)
    table += table.norm(dim=1).mean() * common / common.norm()
    seen = _normed(table, first.input_layernorm.weight)
    basis, _ = torch.linalg.qr(torch.cat([seen.mean(0)[:, None], torch.randn(width, 3 * size)], dim=1))
    own, before, said = basis[:, 1:].T.split(size)
    strength = float(table.norm(dim=1).mean()) / math.sqrt(size)
    _look_before(first.self_attn, seen, _frequencies(model))
    _carry(first.self_attn, own, before, strength)
    _look_for_the_same(second.self_attn, own, before)
    _carry(second.self_attn, said, said, strength)


def _normed(rows: Tensor, weight: Tensor) -> Tensor:
    return rows * torch.rsqrt(rows.square().mean(-1, keepdim=True) + 1e-12) * weight


def _frequencies(model: LlamaForCausalLM) -> Tensor:
    """Turns in radians from one place to the next, of each pair of a head's dimensions."""
    half = model.config.head_dim // 2
    theta: float = model.config.rope_parameters["rope_theta"]
    return theta ** (-torch.arange(half) / half)


def _look_before(attention: Module, seen: Tensor, frequencies: Tensor) -> None:
    """Queries and keys that are the same for all tokens, turned so that they meet at the place before."""
    half = len(frequencies)
    one = torch.linalg.lstsq(seen, torch.ones(len(seen), 1)).solution[:, 0]  # of any token: about 1
    length = math.sqrt(_SHARP * math.sqrt(2 * half))
    query, key = torch.zeros(2 * half), torch.zeros(2 * half)
    fast = slice(0, _FAST)
    query[fast], query[half : half + _FAST] = frequencies[fast].cos(), -frequencies[fast].sin()
    key[fast] = 1.0
    attention.q_proj.weight[: 2 * half] = length * query[:, None] * one
    attention.k_proj.weight[: 2 * half] = length * key[:, None] * one


def _look_for_the_same(attention: Module, own: Tensor, before: Tensor) -> None:
    """Queries are this token, keys the one before: in the dimensions that hardly turn."""
    size = len(own)
    slow = [*range(size // 4, size // 2), *range(3 * size // 4, size)]
    # Of a token's square, a half is its own in the second layer, and of that these dimensions are a part.
    length = math.sqrt(_SIMILAR * math.sqrt(size) / (0.5 * len(slow)))
    attention.q_proj.weight[:size] = attention.k_proj.weight[:size] = 0.0
    attention.q_proj.weight[slow] = length * own[: len(slow)]
    attention.k_proj.weight[slow] = length * before[: len(slow)]


def _carry(attention: Module, read: Tensor, write: Tensor, strength: float) -> None:
    """What the head looks at is read in one subspace and written in another."""
    attention.v_proj.weight[: len(read)] = read
    attention.o_proj.weight[:, : len(write)] = strength * write.T
