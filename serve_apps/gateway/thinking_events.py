"""What a strategy says, on its way from the strategy to the client's connection.

Pieces that a slow client has not taken yet become one: what waits is never longer than the thought is.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

from zoran_ray.reasoning.trace import Piece, Step


class Events:
    """Steps, and pieces of them, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[Step | Piece] = deque()
        self._some = asyncio.Event()
        self._over = False

    def step(self, step: Step) -> None:
        """A step happened. A thought's text has all its pieces: none of them need wait any longer.

        An answer's pieces stay, for a voice does not say its step as a thought.
        """
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, Piece) and last.id == step.id and step.kind != "answer":
            self._waiting.pop()
        self._waiting.append(step)
        self._some.set()

    def piece(self, piece: Piece) -> None:
        """More of a thought came."""
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, Piece) and last.id == piece.id:
            self._waiting[-1] = replace(last, text=last.text + piece.text)
        else:
            self._waiting.append(piece)
        self._some.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._some.set()

    async def __aiter__(self) -> AsyncIterator[Step | Piece]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._over:
                return
            self._some.clear()
            await self._some.wait()
