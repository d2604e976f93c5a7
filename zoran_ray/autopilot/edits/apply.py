"""Edits on files: all or none. Knows texts by path; reads and writes no disk."""

from collections.abc import Iterable, Mapping

from zoran_ray.autopilot.edits.edit import Edit, EditError, Remove, Replace, Write
from zoran_ray.autopilot.edits.match import replaced

MOST_FILE_CHARS = 2_000_000


def apply_edits(edits: Iterable[Edit], files: Mapping[str, str]) -> dict[str, str | None]:
    """What becomes of the files that change: their text, or None for one that is gone.

    Every edit of one answer is tried, so that the model hears of all its faults at once. Line ends stay as
    they are in each file.

    Args:
        edits: In the order in which they hold.
        files: Texts of the files that may be changed, by path.

    Raises:
        EditError: One cannot be applied, or nothing would change. Nothing is changed then.
    """
    after: dict[str, str | None] = {}
    faults: list[str] = []
    for edit in edits:
        now = after[edit.path] if edit.path in after else files.get(edit.path)
        try:
            after[edit.path] = _applied(edit, now, files)
        except EditError as error:
            faults.append(str(error))
    if faults:
        raise EditError("None of the edits was applied:\n" + "\n".join(f"- {fault}" for fault in faults))
    changed = {path: text for path, text in after.items() if text != files.get(path)}
    if not changed:
        raise EditError("The edits change nothing: the files are so already.")
    return changed


def _applied(edit: Edit, now: str | None, files: Mapping[str, str]) -> str | None:
    if isinstance(edit, Write):
        return _ends_like(now, edit.text)
    if now is None and not (isinstance(edit, Replace) and not edit.old.strip()):
        raise EditError(f"{edit.path}: there is no such file.{_meant(edit.path, files)}")
    if isinstance(edit, Remove):
        return None
    if now is None or not now.strip():
        if edit.old.strip():
            raise EditError(f"{edit.path}: the file is empty. Leave the SEARCH part empty.")
        return edit.new
    if not edit.old.strip():
        raise EditError(f"{edit.path}: the file is there already, and the SEARCH part is empty.")
    text = replaced(edit.path, now.replace("\r\n", "\n") if _crlf(now) else now, edit.old, edit.new)
    if len(text) > MOST_FILE_CHARS:
        raise EditError(f"{edit.path}: the file would have more than {MOST_FILE_CHARS} characters.")
    return _ends_like(now, text)


def _ends_like(now: str | None, text: str) -> str:
    """The text with the line ends of what was there, and without a last one where that has none."""
    if now and not now.endswith("\n") and text.endswith("\n"):
        text = text[:-1]
    return text.replace("\n", "\r\n") if now and _crlf(now) and "\r" not in text else text


def _crlf(text: str) -> bool:
    """Whether every line ends so; where only some do, each stays as it is."""
    return 0 < text.count("\r\n") == text.count("\n")


def _meant(path: str, files: Mapping[str, str]) -> str:
    name = path.rsplit("/", 1)[-1]
    same = [each for each in files if each.rsplit("/", 1)[-1] == name][:3]
    return f" Is it {' or '.join(same)}?" if same else ""
