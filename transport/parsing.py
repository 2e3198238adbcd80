"""JSON from strangers: orjson, kept from what makes large texts slow for everybody else. Pure.

orjson refuses NaN, infinities, lone surrogates and deep nesting on its own (E32, E33). What it builds is no garbage
yet, and looking for some in it again and again, while it grows, took seven times as long as the parsing itself.
"""

import gc
from typing import Any

import orjson

__all__ = ["parse_json"]

LARGE = 32 * 1024
"""Bytes or characters; below it the collector does not come more often than a few times."""


def parse_json(text: str | bytes) -> Any:
    """The value. Raises `orjson.JSONDecodeError`, and UnicodeEncodeError for a str with a lone surrogate."""
    if len(text) < LARGE or not gc.isenabled():
        return orjson.loads(text)
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        gc.enable()
