"""What a command printed, kept within bounds. Pure.

What lives here: the buffer that a running command's bytes are fed into, and the text that it shows at any
moment, also of a command that was cut off. What must not: reading. Memory stays bounded however much is
printed, because only a head and a tail are kept, in characters, decoded as they come.
"""

import codecs

import attrs

__all__ = ["OUTPUT_CHARACTERS_MAX", "Output"]

OUTPUT_CHARACTERS_MAX = 30_000
"""The V0 wire shows at most this much of an output (contract §3.3); half of it from the front, half from the
end."""

_HALF = OUTPUT_CHARACTERS_MAX // 2


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


@attrs.define(eq=False, repr=False)
class Output:
    """The output of one command: `feed` it bytes, ask it for `text()` whenever you like.

    Bytes that are no UTF-8 become U+FFFD. `characters` counts all that was printed, kept or not.
    """

    characters: int = 0
    _head: str = ""
    _tail: str = ""
    _decoder: codecs.IncrementalDecoder = attrs.field(factory=_new_decoder)

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next bytes, in the order in which they were printed."""
        text = self._decoder.decode(data)
        self.characters += len(text)
        room = _HALF - len(self._head)
        self._head += text[:room]
        self._tail = (self._tail + text[room:])[-_HALF:]

    @property
    def characters_left_out(self) -> int:
        """How many characters between head and tail are gone."""
        return self.characters - len(self._head) - len(self._tail)

    def text(self) -> str:
        """The output so far; where the middle is missing, a line of its own says how much."""
        # A character of which only the first bytes have come is shown as if nothing followed.
        tail = self._tail + ("\ufffd" if self._decoder.getstate()[0] else "")
        if not self.characters_left_out:
            return self._head + tail
        return f"{self._head}\n[... {self.characters_left_out} characters left out here ...]\n{tail}"

    def __repr__(self) -> str:
        return f"<Output characters={self.characters} left_out={self.characters_left_out}>"
