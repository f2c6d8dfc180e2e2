"""Digests: the same digest, the same result.

A digest is made of what decides a result: crystal, settings, engine, and the version of the *method*. The version of
the package is not part of it, so that a new release does not throw away hours of calculations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np


def digest_of(*parts: object) -> str:
    """Return the sha256 (hexadecimal) of values, whatever their order in mappings.

    Numbers count by their value (60 and 60.0 are the same), dataclasses by their fields, arrays by their content, and
    objects that have one by their `digest`.

    Raises
    ------
    TypeError
        For a value of a type that has no stated content.
    """
    digest = hashlib.sha256()
    for chunk in _encode(parts):
        digest.update(chunk)
    return digest.hexdigest()


def _encode(value: object) -> Iterable[bytes]:
    if value is None or isinstance(value, (str, bool, bytes, Path)):
        text = str(value).encode("utf-8", "surrogatepass")
        yield f"{type(value).__name__}:{len(text)}:".encode() + text  # with its length, or "a" and "b" were "a...b"
    elif isinstance(value, (int, float, np.integer, np.floating)):
        yield f"number:{float(value) + 0.0!r};".encode()  # no minus before a zero
    elif isinstance(value, np.ndarray):
        yield f"array:{value.dtype.str}{value.shape};".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _encode({each.name: getattr(value, each.name) for each in fields(value)})
    elif isinstance(value, Mapping):
        yield b"{"
        for key in sorted(value, key=str):
            yield from _encode(str(key))
            yield from _encode(value[key])
        yield b"}"
    elif isinstance(value, (list, tuple)):
        yield b"["
        for item in value:
            yield from _encode(item)
        yield b"]"
    elif isinstance(value, (set, frozenset)):
        yield from _encode(sorted(value))
    else:
        raise TypeError(f"{type(value).__name__} has no digest")
