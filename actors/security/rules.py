"""The `rules` analyzer: how risky the commands of a script are, by tables. Pure.

What lives here: looking a script's commands up in `tables`, and the scripts within them. What must not: a rule. It is
best effort and says so: a shell is a language, and text can always be written that does more than it shows. What
confines a command is its sandbox; this only tells when somebody should look first.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import attrs

from actors.domain.events import RunAction
from actors.security import tables
from actors.security.port import Assessment, Risk
from actors.security.shell import SCRIPT_CHARACTERS_MAX, Script, SimpleCommand, read_script

__all__ = ["Rules"]

SCRIPTS_MAX = 64
"""Scripts within scripts that are looked at, so that no text costs more than a few looks at it as a whole."""

WRAPPED_MAX = 8
"""Names of commands among the words of a wrapper."""

REASONS_MAX = 3
"""For a person to read."""

_SEVERITY = {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.UNKNOWN: 2, Risk.HIGH: 3}
"""What nobody could read is worse than what is harmless enough, and better than what is known to be bad."""

_RULES = tables.by_name()
_COMPUTED = re.compile(r"[$*?{]")
_FETCHERS = frozenset({"curl", "wget", "http", "https", "xh", "nc", "ncat", "socat", "ssh"})

UNCLEAR = Assessment(Risk.UNKNOWN, "it cannot be read to its end")
COMPUTED = Assessment(Risk.UNKNOWN, "what it runs is known only to the shell")
UNFAMILIAR = Assessment(Risk.MEDIUM, "it runs a program that the rules do not know")


@attrs.frozen
class Rules:
    """See `actors.security.port.Analyzer`."""

    name: str = "rules"

    def assess(self, action: RunAction) -> Assessment:
        return _worst(_Look().at(action.command))


def _worst(found: Iterable[Assessment]) -> Assessment:
    """The worst risk, with the reasons for it in the order in which they were found."""
    reasons: dict[Risk, dict[str, None]] = {risk: {} for risk in Risk}
    worst = Risk.LOW
    for assessment in found:
        reasons[assessment.risk][assessment.reason] = None
        worst = max(worst, assessment.risk, key=_SEVERITY.__getitem__)
    return Assessment(worst, "; ".join(list(reasons[worst])[:REASONS_MAX]))


@attrs.define
class _Look:
    """One look at one action, with what it may still cost."""

    scripts_left: int = SCRIPTS_MAX
    characters_left: int = 2 * SCRIPT_CHARACTERS_MAX

    def at(self, text: str) -> Iterator[Assessment]:
        self.scripts_left -= 1
        self.characters_left -= min(len(text), SCRIPT_CHARACTERS_MAX)
        if self.scripts_left < 0 or self.characters_left < 0:
            yield UNCLEAR
            return
        if re.search(tables.BOMB.pattern, text[:SCRIPT_CHARACTERS_MAX]):
            yield Assessment(tables.BOMB.risk, f"it {tables.BOMB.reason}")
        script = read_script(text)
        if script.unclear:
            yield UNCLEAR
        for command in script.commands:
            yield from _by_tables(command)
            yield from self._at_scripts_within(command, script)

    def _at_scripts_within(self, command: SimpleCommand, script: Script) -> Iterator[Assessment]:
        if command.name in tables.INTERPRETERS and _runs_its_input(command):
            yield from self._at_input(command)
        if command.name in tables.SHELLS and _runs_a_file(command):
            yield Assessment(Risk.MEDIUM, f"{command.name} runs what stands in a file")
        if command.name not in tables.SCRIPT_TAKERS:
            return
        fetches = any(other.name in _FETCHERS for other in script.commands)
        for argument in _scripts(command):
            if "$" in argument or "`" in argument:
                yield Assessment(Risk.HIGH, "it runs what it fetches") if fetches and "$()" in argument else COMPUTED
            yield from self.at(argument)

    def _at_input(self, command: SimpleCommand) -> Iterator[Assessment]:
        if command.piped:
            yield Assessment(Risk.HIGH, f"{command.name} runs what another command writes")
        if command.name in tables.SHELLS:
            for text in command.fed:
                yield from self.at(text)


def _runs_its_input(command: SimpleCommand) -> bool:
    return all(argument.startswith("-") and argument != "-c" for argument in command.arguments)


def _runs_a_file(command: SimpleCommand) -> bool:
    options = [argument for argument in command.arguments if argument.startswith("-")]
    is_given_text = any("c" in option and not option.startswith("--") for option in options)
    return not is_given_text and (len(options) < len(command.arguments) or bool(command.reads_from))


def _scripts(command: SimpleCommand) -> Iterator[str]:
    """The words of a command that are scripts themselves."""
    if command.name == "eval":
        yield " ".join(command.arguments)
        return
    for argument in command.arguments:
        if any(character.isspace() or character in ";|&$`" for character in argument):
            yield argument


def _by_tables(command: SimpleCommand) -> Iterator[Assessment]:
    yield from _places((*command.words, *command.writes_to, *command.reads_from), tables.PLACES)
    yield from _places(command.writes_to, tables.WRITES)
    yield from _places((*command.words, *command.assignments, *command.fed), tables.SECRETS)
    if command.words:
        yield from _by_name(command.words)
    if command.name in tables.WRAPPERS:
        yield from _wrapped(command.words)


def _wrapped(words: Sequence[str]) -> Iterator[Assessment]:
    """Where the wrapped command begins depends on the options of the wrapper: each known name may be it. A later
    place of the same name has only fewer arguments."""
    places: dict[str, int] = {}
    for place, word in enumerate(words[1:], 1):
        name = _key(word)
        if name in _RULES and word != ".":
            places.setdefault(name, place)
    if len(places) > WRAPPED_MAX:
        yield UNCLEAR
    for place in list(places.values())[:WRAPPED_MAX]:
        yield from _by_name(words[place:])


def _places(words: Iterable[str], patterns: Sequence[tables.Pattern]) -> Iterator[Assessment]:
    for word in words:
        for pattern in patterns:
            if re.search(pattern.pattern, word):
                yield Assessment(pattern.risk, f"it {pattern.reason}")


def _key(word: str) -> str:
    """`/sbin/mkfs.ext4` is looked up as `mkfs`, `python3.12` as `python3`; `.` stays what it is."""
    name = word.rpartition("/")[2]
    return name.partition(".")[0] or name


def _by_name(words: Sequence[str]) -> Iterator[Assessment]:
    if _COMPUTED.search(words[0]):
        yield COMPUTED
        return
    name, is_known = _key(words[0]), False
    for rule in _RULES.get(name, ()):
        is_known = True
        if all(_is_among(pattern, words[1:]) for pattern in rule.arguments):
            yield Assessment(rule.risk, f"{name} {rule.reason}")
    if not is_known and name not in tables.HARMLESS and name not in tables.INTERPRETERS:
        yield UNFAMILIAR


def _is_among(pattern: str, words: Sequence[str]) -> bool:
    return any(re.search(pattern, word) for word in words)
