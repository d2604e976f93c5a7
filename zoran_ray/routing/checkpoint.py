"""A checkpoint as bytes and back: JSON for the shape, raw arrays behind it, a checksum in front. No pickle.

What is read is checked before it is believed: length, checksum, types of the arrays. Knows nothing of what
is in it.
"""

import hashlib
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError

_MAGIC = b"zrck\x01"
_DIGEST = hashlib.sha256
_HEAD = len(_MAGIC) + _DIGEST().digest_size
_LENGTH = struct.Struct("<Q")
_ARRAY = "#array"
_TYPES = ("<f8", "<f4", "<i8")


def encoded(state: object) -> bytes:
    """Bytes of a tree of dicts with text keys, lists, numbers, texts, None and arrays.

    Raises:
        ConfigError: Something else is in it.
    """
    arrays: list[bytes] = []
    try:
        tree = json.dumps(_flat(state, arrays), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"routing checkpoint: {error}") from error
    body = _LENGTH.pack(len(tree)) + tree + b"".join(arrays)
    return _MAGIC + _DIGEST(body).digest() + body


def decoded(data: bytes) -> Any:
    """What was encoded.

    Raises:
        ConfigError: It is damaged, or no checkpoint.
    """
    body = data[_HEAD:]
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : _HEAD] != _DIGEST(body).digest():
        raise ConfigError("routing checkpoint: it is damaged, or was written by another version")
    try:
        (length,) = _LENGTH.unpack_from(body)
        start = _LENGTH.size + length
        return _deep(json.loads(body[_LENGTH.size : start]), memoryview(body)[start:])
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"routing checkpoint: it makes no sense: {error!r}") from error


def _flat(value: object, arrays: list[bytes]) -> object:
    if isinstance(value, np.ndarray):
        kind = value.dtype.newbyteorder("<").str
        if kind not in _TYPES:
            raise TypeError(f"no arrays of {value.dtype}")
        at = sum(map(len, arrays))
        arrays.append(np.ascontiguousarray(value, dtype=kind).tobytes())
        return {_ARRAY: [kind, list(value.shape), at]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key != _ARRAY for key in value):
            raise TypeError("keys must be text")
        return {key: _flat(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_flat(item, arrays) for item in value]
    return value


def _deep(value: Any, arrays: memoryview) -> Any:
    if isinstance(value, dict):
        if _ARRAY in value:
            kind, shape, at = value[_ARRAY]
            return _array(kind, shape, at, arrays)
        return {key: _deep(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep(item, arrays) for item in value]
    return value


def _array(kind: str, shape: list[int], at: int, arrays: memoryview) -> NDArray[Any]:
    if kind not in _TYPES:
        raise TypeError(f"no arrays of {kind}")
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(arrays, dtype=kind, count=count, offset=at).reshape(shape).copy()
