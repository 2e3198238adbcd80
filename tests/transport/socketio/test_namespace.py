"""Functions for events by name: order, acknowledgements, refusals, crashes, and many at once."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from tests.transport.wire import PATIENCE_SECONDS, Raw, upgrade_request
from transport.socketio import Accept, Connection, EventRefused, Namespace, Options, Refuse, Server, serve

pytestmark = pytest.mark.wallclock


@asynccontextmanager
async def open_server(namespace: Namespace, **options: Any) -> AsyncIterator["Lounge"]:
    async with trio.open_nursery() as nursery:
        server = Server({"/": namespace, "/custom": namespace}, Options(**options))
        listeners = await nursery.start(serve, server, "127.0.0.1", 0)
        yield Lounge(listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


class Lounge:
    def __init__(self, port: int) -> None:
        self.port = port

    async def joined(self, payload: str = "", namespace: str = "") -> Raw:
        raw = Raw(await trio.open_tcp_stream("127.0.0.1", self.port))
        await raw.send(upgrade_request())
        assert (await raw.head())[0] == 101
        assert (await raw.frame())[1].startswith(b"0{")
        await raw.text(f"40{namespace}{payload}")
        return raw

    async def member(self, namespace: str = "") -> Raw:
        raw = await self.joined(namespace=namespace)
        assert (await raw.frame())[1].startswith(b"40")
        return raw


async def test_what_a_function_returns_is_the_acknowledgement() -> None:
    namespace = Namespace()
    namespace.on("nothing")(lambda _: None)
    namespace.on("one")(lambda _, value: value)
    namespace.on("several")(lambda _, *values: values)

    @namespace.on("async")
    async def _(_: Connection, value: Any) -> list[Any]:
        await trio.lowlevel.checkpoint()
        return [value]

    async with open_server(namespace) as lounge:
        raw = await lounge.member()
        await raw.text('421["nothing"]')
        await raw.says("431[]")
        await raw.text('422["one",{"a":1}]')
        await raw.says('432[{"a":1}]')
        await raw.text('423["several",1,2]')
        await raw.says("433[1,2]")
        await raw.text('424["async",1]')
        await raw.says("434[[1]]")
        await raw.text('42["async",1]')  # nobody asked
        await raw.text('425["nothing"]')
        await raw.says("435[]")


async def test_e21_events_of_one_client_are_handled_in_order_whatever_their_functions_are() -> None:
    namespace, done = Namespace(), []

    @namespace.on("slow")
    async def _(_: Connection, number: int) -> None:
        await trio.sleep(0.001)
        done.append(number)

    namespace.on("quick")(lambda _, number: done.append(number))
    async with open_server(namespace) as lounge:
        raw = await lounge.member()
        for number in range(200):
            await raw.text(f'42["{"quick" if number % 3 else "slow"}",{number}]')
        with trio.fail_after(PATIENCE_SECONDS):
            while len(done) < 200:
                await trio.sleep(0.01)
    assert done == list(range(200))


async def test_a_slow_function_of_one_client_delays_no_other() -> None:
    namespace = Namespace()

    @namespace.on("sleep")
    async def _(_: Connection) -> None:
        await trio.sleep_forever()

    namespace.on("quick")(lambda _: "here")
    async with open_server(namespace) as lounge:
        stuck, other = await lounge.member(), await lounge.member()
        await stuck.text('42["sleep"]')
        await stuck.text('421["quick"]')
        await other.text('421["quick"]')
        await other.says('431["here"]')


async def test_a_client_whose_functions_are_behind_is_not_read_and_loses_nothing() -> None:
    namespace, done, gate = Namespace(), [], trio.Event()

    @namespace.on("n")
    async def _(_: Connection, number: int, _filling: str) -> None:
        await gate.wait()
        done.append(number)

    async with open_server(namespace, inbox_high_bytes=20_000, inbox_low_bytes=5_000) as lounge:
        raw = await lounge.member()
        [connection] = namespace.connections

        async def flood() -> None:
            for number in range(2_000):
                await raw.text(f'42["n",{number},"{"x" * 10_000}"]')

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await trio.testing.wait_all_tasks_blocked(0.1)
            # One reading's worth beyond the mark, of 20 MB that were sent.
            assert connection._engine.held
            assert namespace._inboxes[connection]._bytes < 20_000 + 2 * 65_536
            gate.set()
        with trio.fail_after(PATIENCE_SECONDS):
            while len(done) < 2_000:
                await trio.sleep(0.01)
    assert done == list(range(2_000))


async def test_e9_who_may_join_is_decided_by_a_function() -> None:
    namespace = Namespace()

    @namespace.on_connect
    async def _(connection: Connection, auth: Mapping[str, Any] | None) -> Accept | Refuse | None:
        await trio.lowlevel.checkpoint()
        match auth:
            case {"token": "good"}:
                return None
            case {"token": "guest"}:
                return Accept({"as": "guest"})
        return Refuse("no", {"code": 7})

    async with open_server(namespace) as lounge:
        raw = await lounge.joined()
        await raw.says('44{"message":"no","data":{"code":7}}')
        await raw.text('40{"token":"guest"}')
        assert orjson.loads((await raw.frame())[1][2:])["as"] == "guest"
        friend = await lounge.joined('{"token":"good"}')
        assert orjson.loads((await friend.frame())[1][2:]).keys() == {"sid"}
        assert [connection.auth for connection in namespace.connections] == [{"token": "guest"}, {"token": "good"}]


async def test_e32_e28_joining_comes_before_events_and_leaving_is_told_once() -> None:
    namespace = Namespace()
    seen: list[Any] = []

    @namespace.on_connected
    async def _(connection: Connection) -> None:
        await trio.sleep(0.02)
        seen.append(("here", connection.query.get("who", "nobody")))

    namespace.on("event")(lambda _: seen.append("event"))
    namespace.on_disconnected(lambda _, reason: seen.append(reason))
    async with open_server(namespace) as lounge:
        raw = await lounge.member()
        await raw.text('420["event"]')
        await raw.says("430[]")
        await raw.text("41")
        await raw.text("1")
        await raw.frames_until_eof()
    assert seen == [("here", "nobody"), "event", "client namespace disconnect"]


async def test_e12_an_event_without_a_function_is_ignored_and_never_acknowledged() -> None:
    namespace = Namespace()
    namespace.on("known")(lambda _: "here")
    async with open_server(namespace) as lounge:
        raw = await lounge.member()
        await raw.text('421["unknown"]')
        await raw.text('422["known"]')
        await raw.says('432["here"]')


async def test_arguments_that_do_not_fit_and_refusals_are_told_and_the_connection_lives() -> None:
    namespace = Namespace()
    namespace.on("one")(lambda _, value: value)

    @namespace.on("refuses")
    def _(_: Connection) -> None:
        raise EventRefused("not today")

    @namespace.on("refuses later")
    async def _(_: Connection) -> None:
        await trio.lowlevel.checkpoint()
        raise EventRefused("not tomorrow")

    async with open_server(namespace) as lounge:
        raw = await lounge.member()
        await raw.text('421["one"]')
        await raw.says("""431[{"error":true,"message":"'one' does not take 0 arguments"}]""")
        await raw.text('42["one",1,2]')
        await raw.text('422["refuses"]')
        await raw.says('432[{"error":true,"message":"not today"}]')
        await raw.text('423["refuses later"]')
        await raw.says('433[{"error":true,"message":"not tomorrow"}]')


@pytest.mark.parametrize("name", ["crashes", "crashes later", "answers with what JSON has not"])
async def test_a_function_that_crashes_ends_its_clients_connection_and_no_other(name: str) -> None:
    namespace, reasons = Namespace(), []

    @namespace.on("crashes")
    def _(_: Connection) -> None:
        raise RuntimeError("a bug")

    @namespace.on("crashes later")
    async def _(_: Connection) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    namespace.on("answers with what JSON has not")(lambda _: object())
    namespace.on("fine")(lambda _: None)
    namespace.on_disconnected(lambda _, reason: reasons.append(reason))
    async with open_server(namespace) as lounge:
        raw, other = await lounge.member(), await lounge.member()
        await raw.text(f'421["{name}"]')
        assert (await raw.frames_until_eof())[-1][0] == 8
        await other.text('421["fine"]')
        await other.says("431[]")
        assert reasons == ["forced server close"]


async def test_an_event_to_many_is_encoded_once_and_reaches_the_chosen() -> None:
    namespace = Namespace()
    async with open_server(namespace) as lounge:
        first, second, third = await lounge.member(), await lounge.member(), await lounge.member("/custom,")
        namespace.emit("all", 1, b"\x00")
        for raw, prefix in ((first, ""), (second, ""), (third, "/custom,")):
            await raw.says(f'451-{prefix}["all",1,{{"_placeholder":true,"num":0}}]')
            assert await raw.frame() == (2, b"\x00")
        chosen = {next(iter(namespace.connections))}
        namespace.emit("some", to=chosen)
        namespace.emit("all")
        await first.says('42["some"]')
        await first.says('42["all"]')
        await second.says('42["all"]')


async def test_a_function_may_ask_its_client_and_the_answer_is_not_behind_its_events() -> None:
    namespace = Namespace()

    @namespace.on("ask me")
    async def _(connection: Connection) -> list[Any]:
        return await connection.call("who", timeout_seconds=PATIENCE_SECONDS)

    async with open_server(namespace) as lounge:
        raw = await lounge.member()
        await raw.text('421["ask me"]')
        await raw.says('420["who"]')
        await raw.text('42["ask me"]')  # in the way, if acks were queued with events
        await raw.text('430["me"]')
        await raw.says('431[["me"]]')


def test_e11_what_cannot_be_registered() -> None:
    namespace = Namespace()
    namespace.on("x")(lambda _: None)
    for name in ("x", "disconnect"):
        with pytest.raises(ValueError, match=name):
            namespace.on(name)

    async def farewell(_: Connection, _reason: str) -> None:
        await trio.lowlevel.checkpoint()

    with pytest.raises(TypeError):
        namespace.on_disconnected(farewell)


@pytest.mark.parametrize("name", ["", "chat", "/a,b"])
def test_e8_a_namespace_that_nobody_could_ask_for_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        Server({name: Namespace()})
