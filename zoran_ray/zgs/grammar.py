"""What the words of a message are made of, and how long they may be. Lengths count characters.

Source: the shape comes from the public examples of `.zgs`. They do not say which characters a word may
have; the rules here are ours. There are no escapes: what does not fit into a value goes into the payload.
"""

import re

PREFIX = "SIG:"
OPEN, CLOSE, BETWEEN = "⟦", "⟧", "⋄"
SYNC = "ΦSYNC"
WHEN = "∴"
PAYLOAD = "Z5::"

MAX_MESSAGE = 4 * 1024 * 1024
MAX_ITEMS = 256
MAX_FIELDS = 256
MAX_VERB = 64
MAX_KEY = 64
MAX_VALUE = 4096
MAX_CONDITION = 256

# Control characters, line ends, marks that turn the direction of text (a log would show another message
# than was sent), the byte order mark, and halves of characters.
_UNFIT = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"

VERB_WORD = re.compile(r"[A-Z][A-Z0-9_-]*")
KEY_WORD = re.compile(rf"[^\s:{WHEN}{OPEN}{CLOSE}{BETWEEN}{_UNFIT}]+")
VALUE_WORD = re.compile(rf"[^{OPEN}{CLOSE}{BETWEEN}{_UNFIT}]*")
CONDITION_WORD = re.compile(rf"[^\s{WHEN}{OPEN}{CLOSE}{BETWEEN}{_UNFIT}]+")
PAYLOAD_WORD = re.compile(rf"{PAYLOAD}[A-Za-z0-9+/=._-]+")
"""Every character that any version of a `Z5::` frame is made of; whether it can be opened is not said."""
