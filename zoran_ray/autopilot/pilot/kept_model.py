"""A model whose every answer is kept before anybody acts on it. Knows no store."""

from collections.abc import Awaitable, Callable, Sequence

from zoran_ray.reasoning.completion import Complete, Completions, Message, Sampling, Used
from zoran_ray.reasoning.trace import Call


class KeptModel:
    """See `reasoning.Complete`.

    Args:
        model: Who is asked.
        keep: Keeps a call. What it raises, the call raises.
    """

    def __init__(self, model: Complete, keep: Callable[[Call], Awaitable[None]]) -> None:
        self._model = model
        self._keep = keep

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """The most that a call may use."""
        return self._model.most(messages, sampling)

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """The model's answer, which is kept by then. Raises: As the model, and as `keep`."""
        answer = await self._model(messages, sampling, deadline=deadline)
        await self._keep(Call(tuple(messages), sampling, answer))
        return answer
