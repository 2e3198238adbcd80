"""Pages neither skip nor repeat, whatever comes and goes between them."""

from base64 import urlsafe_b64encode

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.catalogue import Catalogue, Claim, Entry
from storage.errors import BadCursor


def catalogue_of(*entries: Entry) -> Catalogue:
    catalogue = Catalogue()
    for entry in entries:
        catalogue.add(entry)
    return catalogue


def ids(entries: list[Entry]) -> list[str]:
    return [entry.conversation_id for entry in entries]


def entry(number: int, **attributes: str | None) -> Entry:
    # Two share each moment, so that the id has to decide.
    return Entry(f"c{number:03}", f"2026-01-01T00:00:{number // 2:02}Z", attributes)


@given(st.integers(0, 20), st.integers(1, 7))
def test_pages_newest_first_make_up_the_whole(count: int, limit: int) -> None:
    catalogue = catalogue_of(*map(entry, range(count)))
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = catalogue.page(limit, cursor)
        assert len(page) <= limit
        seen += ids(page)
        if cursor is None:
            break
        assert len(page) == limit
    assert seen == [f"c{number:03}" for number in reversed(range(count))]


@given(
    st.lists(st.integers(0, 39), unique=True, min_size=4, max_size=20),
    st.lists(st.tuples(st.booleans(), st.integers(0, 39)), max_size=20),
    st.integers(1, 4),
)
def test_what_stays_is_seen_exactly_once_while_others_come_and_go(
    first: list[int], changes: list[tuple[bool, int]], limit: int
) -> None:
    catalogue = catalogue_of(*map(entry, first))
    touched = {number for _, number in changes}
    seen: list[str] = []
    cursor = None
    todo = iter(changes)
    while True:
        page, cursor = catalogue.page(limit, cursor)
        seen += ids(page)
        if cursor is None:
            break
        for wanted, number in [change for change, _ in zip(todo, range(2), strict=False)]:
            there = f"c{number:03}" in catalogue
            if wanted and not there:
                catalogue.add(entry(number))
            elif there and not wanted:
                catalogue.remove(f"c{number:03}")
    stayed = [f"c{number:03}" for number in sorted(set(first) - touched, reverse=True)]
    assert [name for name in seen if name in stayed] == stayed
    assert len(seen) == len(set(seen))


def test_a_filter_counts_only_what_matches_and_ends_without_an_empty_page() -> None:
    catalogue = catalogue_of(*(entry(number, repository="a" if number % 3 else None) for number in range(9)))
    page, cursor = catalogue.page(3, where={"repository": "a"})
    assert ids(page) == ["c008", "c007", "c005"]
    page, cursor = catalogue.page(3, cursor, where={"repository": "a"})
    assert (ids(page), cursor) == (["c004", "c002", "c001"], None)
    assert catalogue.page(3, where={"repository": "none"}) == ([], None)


@pytest.mark.parametrize(
    "cursor",
    ["", "!", "abc", "ä", *(urlsafe_b64encode(text).decode() for text in (b"{}", b"[1,2]", b'["a"]', b'["a","b",3]'))],
)
def test_a_cursor_of_nobodys_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        catalogue_of(entry(1)).page(3, cursor)


# --- K11: claims ---


def claimed(number: int, key: str) -> Entry:
    return attrs.evolve(entry(number), claim=Claim(key, f"digest of {number}"))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=30), st.integers(1, 5))
def test_k11_the_youngest_claims_are_remembered_and_no_others(steps: list[tuple[str, bool]], claims_max: int) -> None:
    catalogue, model = Catalogue(claims_max), dict[str, str]()
    for number, (key, is_added) in enumerate(steps):
        if is_added:
            added = claimed(number, key)
            catalogue.add(added)
            model.pop(key, None)
            model[key] = added.conversation_id
            if len(model) > claims_max:
                del model[next(iter(model))]
        elif key in model:
            catalogue.remove(model.pop(key))
        for letter in "abcdef":
            found = catalogue.claimed(letter)
            assert (found and found.conversation_id) == model.get(letter)
            assert found is None or (found.claim is not None and found.claim.key == letter)


def test_k11_a_claim_that_is_forgotten_takes_no_memory_and_its_conversation_stays() -> None:
    catalogue = Catalogue(claims_max=1)
    catalogue.add(claimed(0, "a"))
    catalogue.add(claimed(1, "b"))
    found, _ = catalogue.page(10)
    assert [(each.conversation_id, each.claim is None) for each in found] == [("c001", False), ("c000", True)]
    catalogue.remove("c000")
    assert catalogue.claimed("b") is not None
