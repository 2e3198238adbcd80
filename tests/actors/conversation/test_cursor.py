"""A connection is a cursor: one sequence without gaps or duplicates, whatever the pace of its reader (K31, K33)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.conversation.cursor import Cursor, CursorStatistics
from actors.conversation.draft import CHARACTERS_MAX, Draft, ends_draft
from actors.conversation.published import Passage, Published, passages
from actors.conversation.summary import describe
from actors.domain.codec import encode, kind_of_body, visible
from actors.domain.events import ConversationCreated, Event, MessageAction, RunStarted, Source
from actors.domain.masks import NO_MASKS, Masks
from storage.event_log import EventLog
from storage.memory_disk import MemoryDisk
from storage.store import open_store


@attrs.define
class PacedSink:
    """Takes messages or passages `room` times, then none until more room is made."""

    room: int
    taken: list[Any] = attrs.field(factory=list)
    closed: bool = False
    shows_drafts: bool = True
    _made: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def try_show(self, part: Published[object]) -> bool:
        return self.try_send(part)

    def try_send(self, published: Published[object]) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.taken += map(orjson.loads, published.payloads)
        return True

    async def wait_writable(self) -> None:
        while self.room == 0:
            await self._made.park()
        await trio.lowlevel.checkpoint()

    def make_room(self, more: int) -> None:
        self.room += more
        self._made.unpark_all()

    def close(self) -> None:
        self.closed = True

    @property
    def ids(self) -> list[int]:
        return [message["id"] for message in self.taken if "id" in message]


@attrs.define
class Author:
    """Appends as an actor does: durable first, then offered to every cursor."""

    log: EventLog
    cursors: list[Cursor] = attrs.field(factory=list)
    shown: list[int] = attrs.field(factory=list)
    draft: Draft | None = None
    drafts: dict[int, Draft] = attrs.field(factory=dict)
    """All that there ever were, by what they began after."""

    def draft_more(self, text: str, masks: Masks = NO_MASKS) -> None:
        if self.draft is None:
            self.draft = self.drafts[self.log.next_id - 1] = Draft(0, self.log.next_id - 1)
        self.draft.write(text, masks)
        for cursor in self.cursors:
            cursor.show(self.draft)

    async def write(self, kinds: str) -> None:
        """`m` is a message of the agent's and `u` one of the user's, both of which sockets are shown; `h` is a house
        fact, which they are not."""
        first = self.log.next_id
        events = [
            Event(
                first + place,
                "2026-01-01T00:00:00Z",
                Source.USER if kind == "u" else Source.AGENT,
                RunStarted(()) if kind == "h" else MessageAction("x"),
            )
            for place, kind in enumerate(kinds)
        ]
        payloads = [encode(event) for event in events]
        await self.log.append([payloads])
        self.shown += [event.id for event in events if visible(*kind_of_body(event.body))]
        shown = [
            payload if visible(*kind_of_body(event.body)) else None
            for event, payload in zip(events, payloads, strict=True)
        ]
        for cursor in self.cursors:
            cursor.offer(passages(first, shown))
        if ends_draft(events):
            self.draft = None


@asynccontextmanager
async def open_author() -> AsyncIterator[Author]:
    async with open_store(MemoryDisk(), describe) as store:
        payload = encode(Event(0, "2026-01-01T00:00:00Z", Source.ENVIRONMENT, ConversationCreated()))
        entry = describe("c", payload)
        assert entry is not None
        await store.create(entry, [payload])
        yield Author(await store.open_log("c"))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.text("muh", min_size=1, max_size=4)),
        st.tuples(st.just("draft"), st.text("abc", min_size=1, max_size=4)),
        st.tuples(st.just("room"), st.integers(1, 5)),
        st.tuples(st.just("settle"), st.none()),
        st.tuples(st.just("leave"), st.none()),
    ),
    max_size=25,
)


@given(st.random_module(), st.integers(0, 6), st.integers(-1, 3), st.sampled_from([1, 300, 10_000]), STEPS)
@settings(max_examples=60, deadline=None)
def test_k31_k34_one_sequence_without_gaps_or_duplicates_at_any_pace_and_drafts_only_between(
    scheduling: object, room: int, position: int, passage_bytes: int, steps: list[tuple[str, Any]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.conversation.published.PASSAGE_BYTES_MAX", passage_bytes)
        trio.run(_follow, room, position, steps)


async def _follow(room: int, position: int, steps: list[tuple[str, Any]]) -> None:
    async with open_author() as author, trio.open_nursery() as nursery:
        await author.write("mhm")
        sink = PacedSink(room)
        cursor = Cursor(sink, position)
        author.cursors.append(cursor)
        scope = trio.CancelScope()

        async def pump() -> None:
            with scope:
                while True:
                    await cursor.pump(author.log)

        nursery.start_soon(pump)
        for step, value in steps:
            if step == "write":
                await author.write(value)
            elif step == "draft":
                before = len(sink.taken)
                author.draft_more(value)
                has_all = sink.ids == [event_id for event_id in author.shown if event_id > position]
                assert len(sink.taken) == before or has_all, "a part has overtaken an event"
            elif step == "room":
                sink.make_room(value)
            elif step == "leave":
                cursor.detach()  # as when the actor crashes; the pump goes on at the next one
            else:
                await trio.testing.wait_all_tasks_blocked()
            # Never a gap, at any moment: what was shown is the beginning of what is to be shown.
            wanted = [event_id for event_id in author.shown if event_id > position]
            assert sink.ids == wanted[: len(sink.ids)]
            _check_drafts(sink.taken, author)
        sink.make_room(1000)
        await trio.testing.wait_all_tasks_blocked()
        assert sink.ids == [event_id for event_id in author.shown if event_id > position]
        scope.cancel()


def _check_drafts(taken: Sequence[Any], author: Author) -> None:
    """What a client makes of what it has got: texts with the same `after` follow each other without a gap, until an
    event comes that is not the user's."""
    after, text, superseded_at = None, "", -1
    for message in taken:
        match message:
            case {"after": int(begun), "text": str(more)}:
                text = text + more if begun == after else more
                after = begun
                assert author.drafts[begun].text.startswith(text)
                assert superseded_at <= begun, "a part came after an event that supersedes it"
            case {"id": int(event_id), "source": "agent"}:
                after, text, superseded_at = None, "", event_id


async def test_k34_who_was_behind_is_shown_the_draft_from_its_beginning_once_it_has_caught_up() -> None:
    async with open_author() as author, trio.open_nursery() as nursery:
        sink = PacedSink(0)
        cursor = Cursor(sink, 0)
        author.cursors.append(cursor)
        nursery.start_soon(cursor.pump, author.log)
        await author.write("m")
        for text in ("once ", "upon "):
            author.draft_more(text)
        sink.make_room(100)
        await trio.testing.wait_all_tasks_blocked()
        assert sink.taken[1:] == []
        for text in ("a ", "time"):
            author.draft_more(text)
        assert sink.taken[1:] == [{"after": 1, "text": "once upon a "}, {"after": 1, "text": "time"}]
        nursery.cancel_scope.cancel()


async def test_k34_what_cannot_be_shown_now_comes_with_the_next_part_and_nothing_waits_for_it() -> None:
    async with open_author() as author, trio.open_nursery() as nursery:
        sink = PacedSink(1)
        cursor = Cursor(sink, 0)
        author.cursors.append(cursor)
        nursery.start_soon(cursor.pump, author.log)
        await trio.testing.wait_all_tasks_blocked()
        for text in ("a", "b", "c"):
            author.draft_more(text)
        assert sink.taken == [{"after": 0, "text": "a"}]
        assert not cursor.behind
        sink.make_room(1)
        author.draft_more("d")
        assert sink.taken[1:] == [{"after": 0, "text": "bcd"}]
        nursery.cancel_scope.cancel()


async def test_k34_a_part_is_encoded_once_for_all_who_have_seen_as_much() -> None:
    draft = Draft(0, 3)
    draft.write("abc", NO_MASKS)
    assert draft.part(0) is draft.part(0)
    assert draft.part(1).payloads == [b'{"after":3,"text":"bc"}']


def test_k34_a_draft_is_bounded() -> None:
    draft = Draft(0, 3)
    for _ in range(3):
        draft.write("x" * 60_000, NO_MASKS)
    assert len(draft.text) == CHARACTERS_MAX


async def test_k33_a_reader_that_takes_nothing_costs_no_memory_and_delays_nobody() -> None:
    async with open_author() as author, trio.open_nursery() as nursery:
        slow, quick = PacedSink(0), PacedSink(10_000)
        for sink in (slow, quick):
            cursor = Cursor(sink, 0)
            author.cursors.append(cursor)
            nursery.start_soon(cursor.pump, author.log)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(200):
            await author.write("m")
            assert quick.ids == author.shown
        assert slow.taken == []
        slow.make_room(10_000)
        await trio.testing.wait_all_tasks_blocked()
        assert slow.ids == author.shown
        nursery.cancel_scope.cancel()


async def test_a_notice_comes_after_what_is_before_it_in_the_log_and_only_the_latest_of_its_kind() -> None:
    async with open_author() as author, trio.open_nursery() as nursery:
        sink = PacedSink(0)
        cursor = Cursor(sink, 0)
        author.cursors.append(cursor)
        nursery.start_soon(cursor.pump, author.log)
        await author.write("mm")
        for word in ("older", "newer"):
            cursor.notify("run-time", Published([orjson.dumps({"word": word})]))
        cursor.notify("title", Published([orjson.dumps({"word": "title"})]))
        assert cursor.statistics() == CursorStatistics(position=0, behind=True, ended=False, notices=2)
        sink.make_room(100)
        await trio.testing.wait_all_tasks_blocked()
        assert cursor.statistics() == CursorStatistics(position=2, behind=False, ended=False, notices=0)
        assert [message.get("id", message.get("word")) for message in sink.taken] == [1, 2, "newer", "title"]
        nursery.cancel_scope.cancel()


async def test_an_ended_cursor_closes_its_sink_and_its_pump_returns() -> None:
    async with open_author() as author:
        sink = PacedSink(10)
        cursor = Cursor(sink, -1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cursor.pump, author.log)
            await trio.testing.wait_all_tasks_blocked()
            cursor.end()
        assert sink.closed
        assert cursor.ended


def test_a_passage_is_encoded_once_however_many_take_it() -> None:
    calls: list[Sequence[bytes]] = []

    def encode_once(payloads: Sequence[bytes]) -> bytes:
        calls.append(payloads)
        return b"!".join(payloads)

    published: Published[bytes] = Published([b"x", b"y"])
    assert [published.encoded(encode_once) for _ in range(3)] == [b"x!y"] * 3
    assert calls == [[b"x", b"y"]]


@given(st.integers(0, 5), st.lists(st.none() | st.binary(max_size=9), min_size=1, max_size=20), st.integers(1, 30))
def test_k33_passages_have_every_event_once_and_are_bounded(
    first_id: int, shown: list[bytes | None], bytes_max: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.conversation.published.PASSAGE_BYTES_MAX", bytes_max)
        found = passages(first_id, shown)
    assert _payloads(found) == [payload for payload in shown if payload is not None]
    begins = first_id
    for passage in found:
        own = shown[begins - first_id : passage.last_id + 1 - first_id]
        assert _payloads([passage]) == [payload for payload in own if payload is not None]
        *before, _ = [b"", *_payloads([passage])]
        assert sum(map(len, before)) < bytes_max
        begins = passage.last_id + 1
    assert begins == first_id + len(shown)


def _payloads(found: Sequence[Passage]) -> list[bytes]:
    return [payload for passage in found for payload in passage.payloads]


@pytest.mark.parametrize("position", [-1, 0, 2])
async def test_history_begins_right_after_the_position(position: int) -> None:
    async with open_author() as author, trio.open_nursery() as nursery:
        await author.write("mhm")
        sink = PacedSink(100)
        nursery.start_soon(Cursor(sink, position).pump, author.log)
        await trio.testing.wait_all_tasks_blocked()
        assert sink.ids == [event_id for event_id in author.shown if event_id > position]
        nursery.cancel_scope.cancel()
