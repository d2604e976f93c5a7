"""What a model wants to change: read from its answer in any known format, applied all or not at all.

changed = apply_edits(parse_edits(answer), files)      # {path: text or None}; EditError is for the model
"""

from zoran_ray.autopilot.edits.apply import apply_edits
from zoran_ray.autopilot.edits.edit import Edit, EditError, Remove, Replace, Write
from zoran_ray.autopilot.edits.parse import parse_edits

__all__ = ["Edit", "EditError", "Remove", "Replace", "Write", "apply_edits", "parse_edits"]
