"""Numbers, times and strangers' texts, as a person reads them in a terminal. Pure.

What lives here: how much, how large, how long. What must not: what it is of; the tables of sentences say that.
"""

__all__ = ["count", "plain", "size", "span"]


def count(number: int, word: str) -> str:
    """`1 event`, `1,204 events`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """`17 bytes`, `1.2 MB`."""
    for unit, bytes_each in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if number >= bytes_each:
            return f"{number / bytes_each:.1f} {unit}"
    return count(number, "byte")


def span(seconds: float) -> str:
    """`0.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = round(seconds)
    found: list[str] = []
    for name, each in units:
        number, left = divmod(left, each)
        if number or found:
            found.append(f"{number} {name}" if number else "")
    return " ".join(filter(None, found[:2]))


def plain(text: str) -> str:
    """On one line, with nothing in it that a terminal would act upon."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))
