"""What understudy records for each directive, and that no action is left without an ending (K30)."""

import math

import pytest
import trio

from actors.agent.errors import CrashedOnPurpose, RunOver
from actors.agent.hands import SandboxHands
from actors.agent.port import Agent, Hands, Outcome, Recorder
from actors.agent.understudy import BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, Understudy
from actors.domain.events import (
    PAIRED_ACTIONS,
    ErrorObservation,
    FinishAction,
    MessageAction,
    RunAction,
    RunMetadata,
    RunObservation,
    RunOutcome,
    ThinkAction,
    ThinkObservation,
)
from actors.sandbox.errors import SandboxUnavailable
from actors.sandbox.port import Sandbox
from tests.fakes.recorder import ListRecorder, Recorded
from tests.fakes.scripted_sandbox import Reply, ScriptedSandbox

WAITING = Outcome(RunOutcome.WAITING)


async def perform(*contents: str, sandbox: ScriptedSandbox | None = None) -> tuple[Outcome, ListRecorder]:
    recorder = ListRecorder.of(*contents)
    outcome = await Understudy().run(
        recorder.message_ids, recorder, SandboxHands(recorder, sandbox or ScriptedSandbox())
    )
    return outcome, recorder


def test_the_parts_fit_their_ports() -> None:
    """mypy is the one who checks; the fakes must be what the real ones are."""
    agent: Agent = Understudy()
    recorder: Recorder = ListRecorder.of()
    sandbox: Sandbox = ScriptedSandbox()
    hands: Hands = SandboxHands(recorder, sandbox)
    assert (agent.name, hands.working_dir) == ("understudy", "/workspace")


@pytest.mark.parametrize(("content", "answers"), [("/note x", False), ("hello", True), ("/sleep x", True), ("", True)])
def test_only_a_note_starts_no_run(content: str, *, answers: bool) -> None:
    assert Understudy().answers(content) is answers


async def test_a_message_is_repeated_and_the_user_has_the_word() -> None:
    outcome, recorder = await perform("hello  there\n")
    assert outcome == WAITING
    assert recorder.recorded == [Recorded(1, MessageAction("hello  there\n", wait_for_response=True), cause=0)]


async def test_a_malformed_directive_is_answered_with_the_grammar() -> None:
    outcome, recorder = await perform("/sleep abc")
    assert outcome == WAITING
    [said] = recorder.bodies
    assert isinstance(said, MessageAction)
    assert "/sleep seconds" in said.content


async def test_k30_a_command_is_recorded_then_run_then_observed() -> None:
    sandbox = ScriptedSandbox({"ls": Reply("a\nb\n", 2)})
    outcome, recorder = await perform("$ ls", sandbox=sandbox)
    metadata = RunMetadata(exit_code=2, working_dir="/workspace")
    assert outcome == WAITING
    assert recorder.recorded == [
        Recorded(1, RunAction("ls"), cause=0),
        Recorded(2, RunObservation("a\nb\n", "ls", metadata), cause=1),
    ]


async def test_nothing_is_run_that_is_not_recorded() -> None:
    recorder, sandbox = ListRecorder.of("$ rm -rf .", over_after=0), ScriptedSandbox()
    with pytest.raises(RunOver):
        await Understudy().run((0,), recorder, SandboxHands(recorder, sandbox))
    assert sandbox.ran == []


async def test_what_is_forbidden_is_not_run_and_the_next_message_is_answered() -> None:
    recorder, sandbox = ListRecorder.of("$ rm -rf /", "hello"), ScriptedSandbox()
    recorder.forbidden = frozenset({"rm -rf /"})
    outcome = await Understudy().run((0, 1), recorder, SandboxHands(recorder, sandbox))
    assert outcome == WAITING
    assert sandbox.ran == []
    assert recorder.bodies == [MessageAction("hello", wait_for_response=True)]


async def test_what_a_run_that_is_over_observed_is_left() -> None:
    recorder, sandbox = ListRecorder.of("$ ls", over_after=1), ScriptedSandbox({"ls": Reply("a\n")})
    with pytest.raises(RunOver):
        await Understudy().run((0,), recorder, SandboxHands(recorder, sandbox))
    assert recorder.ending_of(1) == RunObservation("a\n", "ls", RunMetadata(exit_code=0, working_dir="/workspace"))


async def test_a_sandbox_that_cannot_start_is_observed_as_an_error() -> None:
    sandbox = ScriptedSandbox({"ls": Reply(error=SandboxUnavailable("No command can be started."))})
    outcome, recorder = await perform("$ ls", sandbox=sandbox)
    assert outcome == WAITING
    assert recorder.recorded[1] == Recorded(2, ErrorObservation("No command can be started."), cause=1)


async def test_a_command_that_takes_too_long_is_observed(autojump_clock: trio.testing.MockClock) -> None:
    sandbox = ScriptedSandbox({"sleep 999": Reply("begun\n", seconds=999)}, timeout_seconds=120)
    outcome, recorder = await perform("$ sleep 999", sandbox=sandbox)
    observation = recorder.bodies[1]
    assert outcome == WAITING
    assert isinstance(observation, RunObservation)
    assert observation.metadata.exit_code == -1
    assert trio.current_time() >= 120
    assert autojump_clock.rate == 0


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (
            "$ make",
            RunObservation(
                "compiling\n\n[The command was stopped before its end.]",
                "make",
                RunMetadata(working_dir="/workspace"),
            ),
        ),
        ("/sleep 60", ThinkObservation("The sleep of 60 s was cut short.")),
    ],
)
async def test_k30_a_cancelled_run_leaves_an_ending_for_its_open_action(
    content: str, ending: object, autojump_clock: trio.testing.MockClock
) -> None:
    sandbox = ScriptedSandbox({"make": Reply("compiling\n", seconds=60)})
    recorder = ListRecorder.of(content)
    with trio.move_on_after(5) as scope:
        await Understudy().run((0,), recorder, SandboxHands(recorder, sandbox))
    assert scope.cancelled_caught
    assert len(recorder.recorded) == 1
    assert recorder.ending_of(1) == ending
    assert autojump_clock.rate == 0


@pytest.mark.parametrize("content", ["$ ls", "/think a", "/sleep 2", "/burst 70", "hi", "/finish x", "/error x"])
async def test_k30_wherever_a_run_is_ended_no_action_is_without_an_ending(
    content: str, autojump_clock: trio.testing.MockClock
) -> None:
    _, whole = await perform(content)
    for over_after in range(len(whole.batches)):
        recorder = ListRecorder.of(content, over_after=over_after)
        with pytest.raises(RunOver):
            await Understudy().run((0,), recorder, SandboxHands(recorder, ScriptedSandbox()))
        actions = [recorded.id for recorded in recorder.recorded if isinstance(recorded.body, PAIRED_ACTIONS)]
        assert all(recorder.ending_of(action) is not None for action in actions)
    assert autojump_clock.rate == 0


async def test_a_thought_is_paired() -> None:
    outcome, recorder = await perform("/think of elephants")
    assert outcome == WAITING
    assert recorder.recorded == [
        Recorded(1, ThinkAction("of elephants"), cause=0),
        Recorded(2, ThinkObservation("The thought is noted."), cause=1),
    ]


async def test_a_sleep_takes_its_time_and_is_paired(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    outcome, recorder = await perform("/sleep 2.5")
    assert outcome == WAITING
    assert math.isclose(trio.current_time() - began, 2.5)
    assert recorder.recorded == [
        Recorded(1, ThinkAction("Sleeping for 2.5 s."), cause=0),
        Recorded(2, ThinkObservation("Slept for 2.5 s."), cause=1),
    ]
    assert autojump_clock.rate == 0


@pytest.mark.parametrize(("messages", "message_bytes"), [(1, 1), (64, 64), (65, 20), (1000, 5), (5, 200_000)])
async def test_a_burst_is_that_many_messages_of_that_many_bytes(messages: int, message_bytes: int) -> None:
    outcome, recorder = await perform(f"/burst {messages} {message_bytes}")
    said = [body for body in recorder.bodies if isinstance(body, MessageAction)]
    assert outcome == WAITING
    assert len(said) == messages
    assert {len(message.content.encode()) for message in said} == {message_bytes}
    assert [message.wait_for_response for message in said] == [False] * (messages - 1) + [True]
    assert {recorded.cause for recorded in recorder.recorded} == {0}
    assert all(batch <= BATCH_MESSAGES_MAX for batch in recorder.batches)
    assert all(batch == 1 or batch * message_bytes <= BATCH_BYTES_MAX for batch in recorder.batches)


async def test_finish_ends_the_task() -> None:
    outcome, recorder = await perform("/finish well done")
    assert outcome == Outcome(RunOutcome.FINISHED)
    assert recorder.recorded == [Recorded(1, FinishAction(final_thought="well done"), cause=0)]


@pytest.mark.parametrize(("content", "reason"), [("/error no luck", "no luck"), ("/error", "an error, as asked for")])
async def test_an_error_fails_the_run_with_its_text(content: str, reason: str) -> None:
    outcome, recorder = await perform(content)
    assert outcome == Outcome(RunOutcome.FAILED, reason)
    assert recorder.recorded == [Recorded(1, ErrorObservation(reason), cause=0)]


async def test_a_crash_is_a_crash() -> None:
    recorder = ListRecorder.of("/crash")
    with pytest.raises(CrashedOnPurpose):
        await Understudy().run((0,), recorder, SandboxHands(recorder, ScriptedSandbox()))
    assert recorder.recorded == []


async def test_several_messages_are_answered_in_order() -> None:
    outcome, recorder = await perform("one", "/note between", "two")
    assert outcome == WAITING
    assert [(recorded.body, recorded.cause) for recorded in recorder.recorded] == [
        (MessageAction("one", wait_for_response=True), 0),
        (MessageAction("two", wait_for_response=True), 2),
    ]


@pytest.mark.parametrize(
    ("contents", "outcome"),
    [
        (("hi", "/finish x"), Outcome(RunOutcome.FINISHED)),
        (("/finish x", "hi"), WAITING),
        (("/error a", "hi"), Outcome(RunOutcome.FAILED, "a")),
        (("/error a", "/error b"), Outcome(RunOutcome.FAILED, "a")),
    ],
)
async def test_the_last_message_decides_unless_one_failed(contents: tuple[str, ...], outcome: Outcome) -> None:
    assert (await perform(*contents))[0] == outcome


async def test_k34_what_is_streamed_is_drafted_word_by_word_and_recorded_as_one_message(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outcome, recorder = await perform("/stream once  upon\na time ")
    assert recorder.drafts == ["once", "  upon", "\na", " time"]
    assert recorder.bodies == [MessageAction("once  upon\na time", wait_for_response=True)]
    assert outcome == WAITING
