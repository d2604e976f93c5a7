"""What a model is shown of a repository for one task, within a number of tokens.

All of it is untrusted, and stands between marks that nothing in it can end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoran_ray.autopilot.context.excerpt import excerpt
from zoran_ray.autopilot.context.ranking import Ranking
from zoran_ray.autopilot.context.repository_map import repository_map
from zoran_ray.autopilot.context.texts import Texts
from zoran_ray.reasoning.fence import fenced

CHARS_PER_TOKEN = 3
"""Of code; fewer than it mostly is."""


@dataclass(frozen=True, slots=True)
class ContextLimits:
    """How much is shown, in tokens.

    Attributes:
        map_tokens: Table of contents.
        files_tokens: Contents of files together.
        output_tokens: End of what tests wrote.
        message_tokens: What somebody says is wrong.
        files: Most files whose contents are shown.
    """

    map_tokens: int = 1_500
    files_tokens: int = 8_000
    output_tokens: int = 1_500
    message_tokens: int = 2_000
    files: int = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """A file as it is shown.

    Attributes:
        path: Of the file.
        text: What is shown of it.
        whole: Whether that is all, with nothing taken out.
    """

    path: str
    text: str = field(repr=False)
    whole: bool


@dataclass(frozen=True, slots=True)
class View:
    """What a model is shown.

    Attributes:
        map: Table of contents.
        files: Contents, the most important first.
    """

    map: str = field(repr=False)
    files: tuple[Shown, ...]

    def prompt(self) -> str:
        """All of it, fenced."""
        told = [f"Files of the repository:\n{_fenced(self.map, 'map')}"]
        told += [
            f"{'A whole file' if file.whole else 'Parts of a file'}, its path in the first line:\n"
            + _fenced(f"{file.path}\n{file.text}", "file")
            for file in self.files
        ]
        return "\n\n".join(told)


def view(
    texts: Texts,
    ranking: Ranking,
    message: str,
    said: str,
    needed: Sequence[str] = (),
    limits: ContextLimits | None = None,
) -> View:
    """What to show for a task.

    Args:
        ranking: Of the same texts.
        message: What is wrong.
        said: What failing tests wrote.
        needed: Files that the model asked for, the first first.
    """
    limits = limits or ContextLimits()
    order = ranking.ranked(message, said, needed)
    every = list(dict.fromkeys([*order, *sorted(texts.files)]))
    table = repository_map(every, texts.files.__getitem__, limits.map_tokens * CHARS_PER_TOKEN)
    lines = ranking.lines(said, message)
    room, shown = limits.files_tokens * CHARS_PER_TOKEN, list[Shown]()
    for path in order[: limits.files]:
        text = texts.shown(path)
        # A long file leaves room for the next ones.
        most = room if len(text) <= room // 2 or not order[1:] else room // 2
        whole = len(text) <= most
        part = text if whole else excerpt(path, text, f"{message}\n{said}", lines.get(path, ()), most)
        if len(part) <= room:
            shown.append(Shown(path, part, whole and not texts.hides_something(path)))
            room -= len(part)
    return View(texts.engine.redact(table), tuple(shown))


def told(text: str, name: str, tokens: int, *, last: bool = False) -> str:
    """Somebody's text, cut and fenced.

    Args:
        name: Of the marks.
        tokens: Longest.
        last: Whether its end is what matters.
    """
    most = tokens * CHARS_PER_TOKEN
    if last and len(text) > most:
        return _fenced(f"… {text[-most:]}", name)
    return fenced(text, name, most)


def _fenced(text: str, name: str) -> str:
    return fenced(text, name, len(text))
