"""Secrets, hidden in whatever is about to become an event. Pure.

What lives here: which texts are hidden, and `mask`, which goes through a command or a body to the last nested value.
What must not: where secrets come from, or a list of the fields that may hold one; all may, but for the few whose words
are the wire's own.

It is for accidents, not against somebody who wants a secret out: a text that is encoded, spelled backwards or torn
apart is another text. What a command prints is one text an observation, so nothing is torn between chunks; only where
the middle of a long output was left out, half a secret may stand at either edge.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

__all__ = ["CHARACTERS_MIN", "MASK", "NO_MASKS", "VOCABULARY", "Masks", "is_maskable", "mask", "masks_of"]

T = TypeVar("T")

MASK = "<secret_hidden>"
"""As on the V0 wire (contract §5)."""

CHARACTERS_MIN = 6
"""What is shorter would be found in the midst of ordinary words (D41), and is guessed sooner than it is seen."""

DIFFERENT_CHARACTERS_MIN = 3
"""A line of dashes is no secret."""

LINE_CHARACTERS_MIN = 16
"""From here on the lines of a longer secret, a private key say, are hidden one by one as well, if without spaces."""

VOCABULARY = frozenset({"error_id", "git_provider", "kind", "quarantine", "trigger"})
"""Fields whose words programs act upon. None of them holds what somebody typed or a command printed."""


@attrs.frozen(repr=False)
class Masks:
    """Made by `masks_of`. `texts` are hidden, the longest first."""

    texts: tuple[str, ...] = ()
    pattern: re.Pattern[str] = re.compile(re.escape(MASK))

    def hide(self, text: str) -> str:
        """The text with a mask in place of every secret; a mask in it stays one."""
        for secret in self.texts:
            if secret in text:
                return self.pattern.sub(MASK, text)
        return text

    def hide_growing(self, text: str) -> str:
        """As `hide`, of a text to which more will be added, without an end that may turn out to be part of a secret:
        what this gives for a longer text begins with what it gave for a shorter one."""
        if not self.texts:
            return text
        end = len(text) - max(_overlap(text, secret) for secret in (MASK, *self.texts))
        torn = (found.start() for found in self.pattern.finditer(text) if found.start() < end < found.end())
        return self.pattern.sub(MASK, text[: next(torn, end)])

    def __repr__(self) -> str:
        return f"<Masks of {len(self.texts)}>"


NO_MASKS = Masks()


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of the text are a beginning of the secret, but not all of it."""
    longest = min(len(text), len(secret) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(secret[:length])), 0)


def is_maskable(secret: str) -> bool:
    """Whether it can be hidden without tearing holes into ordinary text (D41)."""
    text = secret.strip()
    return len(text) >= CHARACTERS_MIN and len(set(text)) >= DIFFERENT_CHARACTERS_MIN


def masks_of(secrets: Iterable[str]) -> Masks:
    """Masks for these secrets, without those that are too short or too plain to be hidden."""
    found = {text for secret in secrets if is_maskable(secret) for text in _texts(secret.strip())}
    if not found:
        return NO_MASKS
    texts = sorted(found, key=lambda text: (-len(text), text))
    return Masks(tuple(texts), re.compile("|".join(map(re.escape, (MASK, *texts)))))


def _texts(secret: str) -> Iterator[str]:
    yield secret
    lines = secret.splitlines()
    if len(lines) > 1:
        yield "\r\n".join(lines)  # as a terminal shows it
        yield from (line.strip() for line in lines if _stands_alone(line.strip()))


def _stands_alone(line: str) -> bool:
    return len(line) >= LINE_CHARACTERS_MIN and not any(map(str.isspace, line)) and is_maskable(line)


def mask(masks: Masks, value: T) -> T:
    """The command or body with every secret hidden, or the very same when there is nothing to hide."""
    return value if not masks.texts else _masked(masks, value)


def _masked(masks: Masks, value: Any) -> Any:
    find = _way_through(type(value))
    return value if find is None else find(masks, value)


def _way_through(kind: type) -> Callable[[Masks, Any], Any] | None:
    """How secrets are looked for in values of this type; None where none can be. Every message passes here, so that is
    found out once a type."""
    try:
        return _WAYS[kind]
    except KeyError:
        return _WAYS.setdefault(kind, _find_way(kind))


def _find_way(kind: type) -> Callable[[Masks, Any], Any] | None:
    if issubclass(kind, Mapping):
        return _opaque
    if attrs.has(kind):
        return partial(_in_fields, [field.name for field in attrs.fields(kind) if field.name not in VOCABULARY])
    return None


def _in_tuple(masks: Masks, value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_masked(masks, part) for part in value)


def _in_fields(names: Sequence[str], masks: Masks, value: Any) -> Any:
    changes = {}
    for name in names:
        before = getattr(value, name)
        find = _way_through(type(before))
        if find is not None and (after := find(masks, before)) != before:
            changes[name] = after
    return attrs.evolve(value, **changes) if changes else value


_WAYS: dict[type, Callable[[Masks, Any], Any] | None] = {str: Masks.hide, tuple: _in_tuple}
"""Enums are texts to Python, and words of the wire to us: they have a type of their own, and no way."""


def _opaque(masks: Masks, value: Any) -> Any:
    """Values whose meaning is unknown: keys and numbers may be secrets as well."""
    match value:
        case str():
            return masks.hide(value)
        case bool():
            return value
        case int() | float():
            text = str(value)
            return value if masks.hide(text) == text else MASK
        case Mapping():
            return _opaque_mapping(masks, value)
        case list() | tuple():
            return [_opaque(masks, part) for part in value]
        case _:
            return value


def _opaque_mapping(masks: Masks, value: Mapping[Any, Any]) -> dict[Any, Any]:
    """Keys that become equal by being hidden are numbered, so that no value is lost."""
    found: dict[Any, Any] = {}
    for key, part in value.items():
        name = hidden = masks.hide(key) if isinstance(key, str) else key
        number = 1
        while name in found or (name != key and name in value):
            number += 1
            name = f"{hidden} ({number})"
        found[name] = _opaque(masks, part)
    return found
