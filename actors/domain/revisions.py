"""What events of an older revision meant, in today's words (K19). Pure.

What lives here: for each kind that has changed, the chain of its upcasters, each a pure function from the fields of
revision n to those of n + 1. What must not: a default for what somebody wrote in the newest form, which is the event
class's business, or a look at anything but the event's own fields.

A kind starts as revision 1, which is not written; so V0's kinds keep V0's bytes. The present revision of a kind is one
more than it has upcasters: whoever changes a kind appends the function that reads the logs of yesterday.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["Fields", "Kind", "Upcaster", "revision_of", "upcast"]

Kind: TypeAlias = tuple[str, str]
"""("action" | "observation", name): a `run` is either."""

Fields: TypeAlias = dict[str, Any]
Upcaster: TypeAlias = Callable[[Fields], Fields]
"""Returns new fields; on fields that were never that revision's it may raise `KeyError`, `TypeError`, `ValueError`."""


def _say_whether_acknowledged_was_lost(fields: Fields) -> Fields:
    """Revision 1 did not tell, and had clients fetch everything again after every repair."""
    return {**fields, "acknowledged_loss": True}


def _without_key(fields: Fields) -> Fields:
    """Revision 1 came with no key (K11)."""
    return {**fields, "key": None, "digest": None}


_UPCASTERS: Mapping[Kind, tuple[Upcaster, ...]] = {
    ("observation", "greenroom.created"): (_without_key,),
    ("observation", "greenroom.log_repaired"): (_say_whether_acknowledged_was_lost,),
}


def revision_of(kind: Kind, upcasters: Mapping[Kind, tuple[Upcaster, ...]] = _UPCASTERS) -> int:
    """The revision in which this version writes the kind."""
    return 1 + len(upcasters.get(kind, ()))


def upcast(
    kind: Kind, revision: int, fields: Fields, upcasters: Mapping[Kind, tuple[Upcaster, ...]] = _UPCASTERS
) -> Fields:
    """The fields of `revision` (1 to `revision_of(kind)`) as those of the present one. Raises what upcasters raise."""
    for step in upcasters.get(kind, ())[revision - 1 :]:
        fields = step(fields)
    return fields
