"""What a model is shown of a repository, within a number of tokens. Knows no model and no edits.

texts = readable(repository.tree(base), engine)        # what the policy lets it read
vectors = FileVectors(embed, texts)                    # only where something makes vectors
ranking = Ranking(texts.files, Harness().holds, vectors)
shown = view(texts, ranking, message, said)            # table of contents, the files that matter
restored(answer, [file.text for file in shown.files])  # what the fence changed, changed back
"""

from zoran_ray.autopilot.context.ranking import Ranking
from zoran_ray.autopilot.context.restore import restored
from zoran_ray.autopilot.context.symbols import Symbol, symbols_of
from zoran_ray.autopilot.context.texts import Texts, readable
from zoran_ray.autopilot.context.vectors import Embed, FileVectors
from zoran_ray.autopilot.context.view import CHARS_PER_TOKEN, ContextLimits, Shown, View, told, view

__all__ = [
    "CHARS_PER_TOKEN", "ContextLimits", "Embed", "FileVectors", "Ranking", "Shown", "Symbol", "Texts",
    "View", "readable", "restored", "symbols_of", "told", "view",
]  # fmt: skip
