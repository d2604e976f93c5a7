"""`.zgs`: a compact message between agents. Reads it, writes it, shows it as JSON.

    message = "SIG:" verb { SP ( block | marker ) } [ SP payload ]
    block   = "⟦" field { "⋄" field } "⟧"
    field   = key [ ":" value ]
    marker  = "ΦSYNC" [ "∴" condition ]
    payload = "Z5::" …

A message is data, never an instruction: nothing in it is evaluated here, and who shows it to a model
fences it as others' text. Logs get `loggable(message)`, never the compact form. A payload stays closed:
what stands in a `Z5::` frame is known to `zoran_ray.memory.z5`, not here.

There is one way to write each message, so `write(parse(text)) == text` for every valid text. Lexical rules
that the public examples leave open are in `grammar`.
"""

from zoran_ray.zgs.document import from_json, loggable, to_json
from zoran_ray.zgs.header import Flags, Header, header_of
from zoran_ray.zgs.message import Block, Field, Message, Sync
from zoran_ray.zgs.parse import parse
from zoran_ray.zgs.write import write

__all__ = [
    "Block",
    "Field",
    "Flags",
    "Header",
    "Message",
    "Sync",
    "from_json",
    "header_of",
    "loggable",
    "parse",
    "to_json",
    "write",
]
