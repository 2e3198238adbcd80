"""The hands of every agent: a command is ruled on, recorded, run and observed, in this order.

What lives here: the way from an action to its observation, whoever wanted it: an agent now, or one whose run ended
while the user was asked. What must not: the ruling (`actors.security`), or a second way to run a command: agents get
hands and no sandbox.
"""

import attrs

from actors.agent.port import Observed, Recorder
from actors.domain.events import ErrorObservation, RunAction, RunMetadata, RunObservation
from actors.sandbox.errors import SandboxError
from actors.sandbox.output import Output
from actors.sandbox.port import Sandbox

__all__ = ["SandboxHands"]


@attrs.frozen
class SandboxHands:
    """See `actors.agent.port.Hands`."""

    recorder: Recorder
    sandbox: Sandbox

    @property
    def working_dir(self) -> str:
        return self.sandbox.working_dir

    async def run_command(self, command: str, cause: int | None = None) -> Observed | None:
        action = RunAction(command=command)
        action_id = await self.recorder.act(action, cause=cause)
        return None if action_id is None else await self.do(action_id, action)

    async def do(self, action_id: int, action: RunAction) -> Observed:
        """The action is durable before anything runs, and whatever ends the command, its output is kept (K30)."""
        output = Output()
        observation: Observed | None = None
        try:
            observation = await self._observe(action.command, output)
        finally:
            cut_off = _cut_off(action.command, output, self.working_dir)
            self.recorder.leave(action_id, cut_off if observation is None else observation)
        await self.recorder.record(observation, cause=action_id)
        return observation

    async def _observe(self, command: str, output: Output) -> Observed:
        try:
            result = await self.sandbox.run(command, output)
        except SandboxError as error:
            return ErrorObservation(str(error))
        metadata = RunMetadata(exit_code=result.exit_code, working_dir=self.working_dir)
        return RunObservation(content=result.output, command=command, metadata=metadata)


def _cut_off(command: str, output: Output, working_dir: str) -> RunObservation:
    """The observation of a command that did not come to its end, with what it had printed by then."""
    text = output.text()
    sentence = "[The command was stopped before its end.]"
    content = f"{text}\n{sentence}" if text else sentence
    return RunObservation(content=content, command=command, metadata=RunMetadata(working_dir=working_dir))
