"""From the text of a shell script to the simple commands in it, best effort. Pure.

What lives here: words, quotes, operators, substitutions, here-documents. What must not: what a command means
(`rules`). A shell is a language, and this is no interpreter of it: nothing is expanded. Every text has an answer; where
it could not be read, or only a shell could know what it says, the script is `unclear`.
"""

import re

import attrs

__all__ = ["DEPTH_MAX", "SCRIPT_CHARACTERS_MAX", "Script", "SimpleCommand", "read_script"]

SCRIPT_CHARACTERS_MAX = 16 * 1024
"""What is looked at of one script, some ten milliseconds of work; what is longer is unclear."""

DEPTH_MAX = 8
"""Substitutions within substitutions; nobody writes more by hand."""

_BLANKS = re.compile(r"(?:[^\S\n]|\\\n)+")
_PLAIN = re.compile(r"[^\s;&|()<>`'\"\\$]+")
_QUOTED_PLAIN = re.compile(r"[^\"\\`$]+")
_ARITHMETIC = re.compile(r"\$\(\((?:[^()`$]|\$\w|\([^()`$]*\))*\)\)")
_REDIRECTION = re.compile(r"(?:\d+(?=[<>]))?(?P<kind><<<|<<-?|&>>?|>>|>\||[<>]&|<>|[<>](?!\())")
_SEPARATOR = re.compile(r"[<>]\(|\|&|&&|\|\||[;&|()\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=")
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "fi", "while", "until", "do", "done", "esac", "{", "}", "!", "time", "coproc"}
)
_SUBSTITUTED = "$()"
"""What stands in a word for the output of a command."""


@attrs.frozen
class SimpleCommand:
    """`words` as the shell would see them, the name first; `writes_to` and `reads_from` are the targets of `>` and `<`,
    `fed` is what `<<` and `<<<` put in. `piped`: its input is the output of the command before it."""

    words: tuple[str, ...]
    assignments: tuple[str, ...] = ()
    writes_to: tuple[str, ...] = ()
    reads_from: tuple[str, ...] = ()
    fed: tuple[str, ...] = ()
    piped: bool = False

    @property
    def name(self) -> str:
        """Without its folder; empty where there are only assignments or redirections."""
        return self.words[0].rpartition("/")[2] if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.words[1:]


@attrs.frozen
class Script:
    """The commands in the order in which they end."""

    commands: tuple[SimpleCommand, ...]
    unclear: bool = False


def read_script(text: str) -> Script:
    """Never raises."""
    reader = _Reader(text[:SCRIPT_CHARACTERS_MAX])
    reader.read_all()
    return Script(tuple(reader.commands), reader.unclear or len(text) > SCRIPT_CHARACTERS_MAX)


@attrs.define
class _Draft:
    piped: bool = False
    is_fed_later: bool = False  # by a here-document whose lines are still to come
    words: list[str] = attrs.field(factory=list)
    assignments: list[str] = attrs.field(factory=list)
    writes_to: list[str] = attrs.field(factory=list)
    reads_from: list[str] = attrs.field(factory=list)
    fed: list[str] = attrs.field(factory=list)

    def add(self, word: str) -> None:
        if self.words:
            self.words.append(word)
        elif _ASSIGNMENT.match(word):
            self.assignments.append(word)
        elif word not in _KEYWORDS:
            self.words.append(word)

    def done(self) -> SimpleCommand | None:
        command = SimpleCommand(
            words=tuple(self.words),
            assignments=tuple(self.assignments),
            writes_to=tuple(self.writes_to),
            reads_from=tuple(self.reads_from),
            fed=tuple(self.fed),
        )
        return attrs.evolve(command, piped=self.piped) if command != SimpleCommand(()) else None


@attrs.define
class _Reader:
    """One pass over the text; `at` only grows."""

    text: str
    at: int = 0
    closers: list[str] = attrs.field(factory=list)
    unclear: bool = False
    commands: list[SimpleCommand] = attrs.field(factory=list)
    _documents: list[tuple[_Draft, str, bool]] = attrs.field(factory=list)

    def read_all(self) -> None:
        self.read_commands("")
        self._read_documents()

    def read_commands(self, closer: str) -> None:
        """Up to the closer of a substitution, or to the end."""
        draft = _Draft()
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == closer:
                self.at += 1
                self._end(draft)
                return
            if char == "#" and closer != "`":
                self._skip_to("\n")
            elif blanks := _BLANKS.match(self.text, self.at):
                self.at = blanks.end()
            elif redirection := _REDIRECTION.match(self.text, self.at):
                self.at = redirection.end()
                self._redirect(draft, redirection["kind"])
            elif separator := _SEPARATOR.match(self.text, self.at):
                self.at = separator.end()
                self._end(draft)
                draft = _Draft(piped=separator[0] in ("|", "|&"))
                self._separate(separator[0])
            else:
                draft.add(self._word())
        self.unclear = self.unclear or bool(closer)
        self._end(draft)

    def _end(self, draft: _Draft) -> None:
        command = None if draft.is_fed_later else draft.done()
        if command is not None:
            self.commands.append(command)

    def _separate(self, separator: str) -> None:
        if separator.endswith("("):
            self._nested(")")
        elif separator == "\n":
            self._read_documents()

    def _nested(self, closer: str) -> None:
        if len(self.closers) >= DEPTH_MAX:
            self.unclear = True
            return
        self.closers.append(closer)
        self.read_commands(closer)
        self.closers.pop()

    def _is_backtick_closer(self) -> bool:
        return self.text[self.at] == "`" and self.closers[-1:] == ["`"]

    def _skip_to(self, mark: str) -> None:
        found = self.text.find(mark, self.at)
        self.at = len(self.text) if found < 0 else found

    # --- redirections --------------------------------------------------------------------------------------------

    def _redirect(self, draft: _Draft, kind: str) -> None:
        if blanks := _BLANKS.match(self.text, self.at):
            self.at = blanks.end()
        start = self.at
        target = self._word()
        if kind == "<<<":
            draft.fed.append(target)
        elif kind.startswith("<<"):
            is_quoted = any(mark in self.text[start : self.at] for mark in "'\"\\")
            draft.is_fed_later = True
            self._documents.append((draft, target, is_quoted))
        elif ">" in kind:
            draft.writes_to.append(target)
        else:
            draft.reads_from.append(target)

    def _read_documents(self) -> None:
        documents, self._documents = self._documents, []
        for draft, delimiter, is_quoted in documents:
            start = self.at
            while self.at < len(self.text) and self._line() != delimiter:
                pass
            body = self.text[start : self.at]
            draft.fed.append(body)
            if not is_quoted:
                self._expand(body)
        for draft, _, _ in documents:
            if draft.is_fed_later:
                draft.is_fed_later = False
                self._end(draft)

    def _line(self) -> str:
        start = self.at
        self._skip_to("\n")
        self.at = min(self.at + 1, len(self.text))
        return self.text[start : self.at].strip()

    def _expand(self, body: str) -> None:
        """The substitutions of a text that is data otherwise."""
        within = _Reader(body, closers=[*self.closers, ""])
        within.read_quoted("")
        within._read_documents()
        self.commands += within.commands
        self.unclear = self.unclear or within.unclear

    # --- words ---------------------------------------------------------------------------------------------------

    def _word(self) -> str:
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if plain := _PLAIN.match(self.text, self.at):
                self.at = plain.end()
                parts.append(plain[0])
            elif self._is_backtick_closer():
                break
            elif char == "\\":
                parts.append(self._escaped(""))
            elif char == "'":
                parts.append(self._single_quoted())
            elif char == '"':
                self.at += 1
                parts.append(self.read_quoted('"'))
            elif char in "$`":
                parts.append(self._dollar())
            else:
                break
        return "".join(parts)

    def _escaped(self, escapable: str) -> str:
        """What a backslash and the next character mean; in quotes, not every character can be escaped."""
        char = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if char == "\n":
            return ""
        return char if char and (not escapable or char in escapable) else f"\\{char}"

    def _single_quoted(self) -> str:
        start = self.at + 1
        self.at = start
        self._skip_to("'")
        self.unclear = self.unclear or self.at == len(self.text)
        self.at += 1
        return self.text[start : self.at - 1]

    def read_quoted(self, closer: str) -> str:
        """Text in double quotes, in which only substitutions count."""
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if plain := _QUOTED_PLAIN.match(self.text, self.at):
                self.at = plain.end()
                parts.append(plain[0])
            elif char == closer:
                self.at += 1
                return "".join(parts)
            elif self._is_backtick_closer():
                break
            elif char == "\\":
                parts.append(self._escaped('"\\$`'))
            elif char in "$`":
                parts.append(self._dollar())
            else:
                self.at += 1
        self.unclear = self.unclear or bool(closer)
        return "".join(parts)

    def _dollar(self) -> str:
        """What begins with `$`, and backticks."""
        if arithmetic := _ARITHMETIC.match(self.text, self.at):
            self.at = arithmetic.end()
            return "$(())"
        if self.text.startswith("$(", self.at):
            self.at += 2
            self._nested(")")
            return _SUBSTITUTED
        char = self.text[self.at]
        self.at += 1
        if char == "`":
            self._nested("`")
            return _SUBSTITUTED
        return char
