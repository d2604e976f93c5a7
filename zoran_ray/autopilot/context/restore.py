"""Gives an answer back the signs that the fence took from what the model was shown.

A fence replaces what could begin a mark or a control token by signs that look much like it; a model copies
them into its edits, and the file has others. (In a new line, a model cannot write those signs themselves.)
"""

from collections.abc import Iterable

from zoran_ray.reasoning.fence import harmless

_BACK = str.maketrans({"‹": "<", "⟦": "["})


def restored(answer: str, shown: Iterable[str]) -> str:
    """The answer with the signs of the files.

    Args:
        shown: Texts that the model was shown, before the fence. Lines of theirs that have such signs by
            themselves keep them.
    """
    own = {
        harmless(line): line
        for text in shown
        for line in text.split("\n")
        if line.translate(_BACK) != line
    }  # fmt: skip
    return "\n".join(own.get(line, line.translate(_BACK)) for line in answer.split("\n"))
