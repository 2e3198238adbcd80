"""What no actor will ever take is kept for people to look at, in a bounded ring (K27)."""

from actors.runtime import DeadLetter, DeadLetters


def letter(number: int, reason: str = "crashed") -> DeadLetter:
    return DeadLetter("a", reason, f"m{number}", 0, float(number))


def test_k27_the_ring_is_bounded_and_the_counters_are_not() -> None:
    letters = DeadLetters(kept_max=3)
    for number in range(10):
        letters.add(letter(number, "expired" if number % 2 else "crashed"))
    assert [kept.message for kept in letters.recent()] == ["m7", "m8", "m9"]
    assert letters.statistics() == {"crashed": 5, "expired": 5}
    assert repr(letters) == "<DeadLetters 10 (3 kept)>"


def test_k27_the_bound_holds_without_being_asked_for() -> None:
    letters = DeadLetters()
    for number in range(10_000):
        letters.add(letter(number))
    assert len(letters.recent()) <= 1000
    assert letters.recent()[-1] == letter(9_999)
