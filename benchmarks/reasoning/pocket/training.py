"""A training as it goes: steps, the mean of the latest weights, and all that is kept to go on another day.

What it has learned can be used at any time: not the weights of the last step, which jump about while the
learning rates are high, but their mean over the last tenth of all steps.
Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from benchmarks.reasoning.pocket.checkpoint import Checkpoint
from benchmarks.reasoning.pocket.feed import Feed
from benchmarks.reasoning.pocket.mixture import Rows
from zoran_ray.pocket.save import round_weights
from zoran_ray.pocket.train import optimizers_of, schedule

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """How far a training has come."""

    step: int = 0
    """Moves of the weights."""
    tokens: int = 0
    """Padding counted."""
    seconds: float = 0.0
    """Time spent, over all runs."""
    average: float = 0.0
    """Running mean of the loss, in nats."""
    course: list[list[float]] = field(default_factory=list)
    """Step and loss, now and then."""


class Training:
    """Teaches a model what a feed gives.

    Args:
        rates: Highest learning rates, of Muon and of AdamW.
        steps: Moves of the weights, over which the learning rates rise, stay and fall.

    Attributes:
        progress: How far it has come.
    """

    def __init__(self, model: LlamaForCausalLM, feed: Feed, rates: tuple[float, float], steps: int) -> None:
        self._model = model
        self._feed = feed
        self._rates = rates
        self._steps = steps
        self._optimizers = optimizers_of(model, *rates)
        self._weights = list(model.parameters())
        self._mean = [weight.detach().clone() for weight in self._weights]
        self.progress = Progress()

    def run(self, limit_s: float | None = None, checkpoint: Checkpoint | None = None) -> None:
        """Goes on to the end, or for so many seconds. Where it stops changes nothing that comes later."""
        began = kept = time.monotonic()
        before = self.progress.seconds
        while self.progress.step < self._steps and self.progress.seconds - before < (limit_s or math.inf):
            self._step()
            self.progress.seconds = before + time.monotonic() - began
            if checkpoint and time.monotonic() - kept > checkpoint.every_s:
                checkpoint.save(self.state())
                kept = time.monotonic()
        if checkpoint:
            checkpoint.save(self.state())

    def finish(self) -> None:
        """Gives the model its mean weights, rounded as they are stored. Teach nothing afterwards."""
        with torch.no_grad():
            for weight, mean in zip(self._weights, self._mean, strict=True):
                weight.copy_(mean)
        round_weights(self._model)

    def state(self) -> dict[str, Any]:
        """All that `go_on` needs."""
        return {
            "progress": asdict(self.progress),
            "place": [self._feed.pool, self._feed.used],
            "weights": [weight.detach() for weight in self._weights],
            "mean": self._mean,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Goes to where another run was stopped."""
        self.progress = Progress(**state["progress"])
        self._feed.go_to(*state["place"])
        with torch.no_grad():
            for weight, kept in zip(self._weights, state["weights"], strict=True):
                weight.copy_(kept)
            for mean, kept in zip(self._mean, state["mean"], strict=True):
                mean.copy_(kept)
        for optimizer, kept in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)

    def _step(self) -> None:
        done = self.progress.step / self._steps
        loss = self._learn(self._feed.take())
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * schedule(done)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for mean, weight in zip(self._mean, self._weights, strict=True):
                mean.lerp_(weight, 1 / (1 + 0.1 * self.progress.step))
        self._note(loss)

    def _learn(self, batches: Sequence[Rows]) -> Tensor:
        """Adds up the gradients of batches; returns their mean loss, each asked token counted alike."""
        asked = sum(len(rows.targets) for rows in batches)
        losses = []
        for rows in batches:
            loss = loss_of(self._model, rows) * (len(rows.targets) / asked)
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            losses.append(loss.detach())
            self.progress.tokens += rows.tokens.size
        return torch.stack(losses).sum()

    def _note(self, loss: Tensor) -> None:
        """Counts a step, and keeps the course of the loss."""
        now = self.progress
        if now.step % 10 == 0:  # to read the loss is to wait for the device
            now.average += (0.1 if now.step else 1.0) * (loss.item() - now.average)
        now.step += 1
        if now.step % 100 == 0:
            now.course.append([now.step, round(now.average, 4)])
            _log.info("%6d %7.1f s  loss %.4f  %d tokens", now.step, now.seconds, now.average, now.tokens)


def loss_of(model: LlamaForCausalLM, rows: Rows) -> Tensor:
    """Mean cross entropy (nats) of what is asked for; the multiplications run in bfloat16."""
    device = next(model.parameters()).device
    tokens, where, targets = (
        torch.from_numpy(each).to(device) for each in (rows.tokens, rows.where, rows.targets)
    )
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
        # Not by brackets: their backward pass is slow on a CPU.
        logits = hidden.flatten(0, 1).index_select(0, where) @ model.lm_head.weight.T
    return functional.cross_entropy(logits.float(), targets)
