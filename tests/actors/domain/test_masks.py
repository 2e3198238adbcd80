"""A secret is hidden wherever an event can hold it, and nothing else is touched (D41)."""

import types
import typing
from enum import Enum
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import encode
from actors.domain.masks import MASK, NO_MASKS, VOCABULARY, is_maskable, mask, masks_of

SECRET = "sk-4711-secret"  # noqa: S105 - of nobody
MASKS = masks_of([SECRET])
BODIES = [body for body in typing.get_args(e.Body) if body is not e.UnknownBody]


def filled(kind: Any, text: str) -> Any:
    """A value of this type with `text` in every place for a text, and something in every other place."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return filled(args[0], text)
    if origin is tuple:
        return (filled(args[0], text),)
    if origin is dict:
        return {text: [text, {"deep": [{text: (text, 1, None, True)}]}], "plain": 1.5}
    if attrs.has(kind):
        return _with_fields(kind, text)
    if issubclass(kind, Enum):
        return next(iter(kind))
    return f"<{text}> and {text}" if kind is str else kind(1)


def _with_fields(kind: type[Any], text: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in attrs.fields(kind)]
    return kind(**{name: filled(hints[name], "word" if name in VOCABULARY else text) for name in names})


@pytest.mark.parametrize("kind", BODIES)
def test_d41_no_field_of_any_body_shows_a_secret(kind: type[Any]) -> None:
    def written(body: Any) -> bytes:
        return encode(e.Event(7, "2026", e.Source.USER, body, 3))

    body = filled(kind, SECRET)
    assert written(mask(MASKS, body)) == written(body).replace(SECRET.encode(), MASK.encode())


def test_d41_the_displayed_message_is_hidden_as_well() -> None:
    for body in (e.MessageAction(SECRET), e.RunAction(f"echo {SECRET}"), e.FinishAction(final_thought=SECRET)):
        wire = orjson.loads(encode(e.Event(0, "2026", e.Source.USER, mask(MASKS, body))))
        assert MASK in wire["message"]


@pytest.mark.parametrize(
    "command",
    [
        c.AddMessage(e.MessageAction(SECRET), answered=True),
        c.Rename(SECRET),
        c.Record(3, (e.RunObservation(SECRET, SECRET), e.ErrorObservation(SECRET)), 2),
        c.EndRun(3, e.RunOutcome.FAILED, SECRET, ((4, e.RunObservation(SECRET, "", e.RunMetadata(prefix=SECRET))),)),
        c.RunTimeFailed(SECRET),
    ],
)
def test_d41_a_command_is_hidden_to_the_last_body_in_it(command: c.Command) -> None:
    hidden = mask(MASKS, command)
    assert SECRET not in str(attrs.asdict(hidden))
    assert str(attrs.asdict(hidden)) == str(attrs.asdict(command)).replace(SECRET, MASK)


def test_d41_the_words_of_the_wire_stay_what_they_are() -> None:
    masks = masks_of(["confirmed", "running", "github", "AGENT_ERROR$BAD_ACTION", "content", "awaiting_user_input"])
    action = e.RunAction("ls", confirmation_state=e.ConfirmationState.CONFIRMED)
    assert mask(masks, action) == action
    changed = e.AgentStateChanged(e.AgentState.AWAITING_USER_INPUT)
    assert mask(masks, changed).agent_state is e.AgentState.AWAITING_USER_INPUT
    created = e.ConversationCreated(git_provider="github")
    assert mask(masks, created) == created
    assert mask(masks, e.ErrorObservation("no", "AGENT_ERROR$BAD_ACTION")).error_id == "AGENT_ERROR$BAD_ACTION"


@pytest.mark.parametrize("secret", ["", " ", "a", "12345", "      ", "------", "ababababab", "\n\t  \n"])
def test_d41_an_empty_short_or_plain_secret_corrupts_nothing(secret: str) -> None:
    assert not is_maskable(secret)
    assert masks_of([secret]) is NO_MASKS
    message = e.MessageAction(f"a b 12345 ------ {secret}")
    assert mask(masks_of([secret, SECRET]), message) == message


def test_with_nothing_to_hide_the_very_same_comes_back() -> None:
    body = filled(e.FinishAction, "text")
    assert mask(NO_MASKS, body) is body
    assert mask(MASKS, e.MessageAction("hello")) == e.MessageAction("hello")


def test_of_two_secrets_one_in_the_other_nothing_is_left_over() -> None:
    masks = masks_of(["abcdef", "abcdefghi", "defghijkl"])
    assert masks.hide("abcdefghi abcdef abcdefghijkl") == f"{MASK} {MASK} {MASK}jkl"


def test_a_mask_is_not_masked_again() -> None:
    masks = masks_of(["secret", "hidden", SECRET])
    once = masks.hide(f"{SECRET} is secret")
    assert once == f"{MASK} is {MASK}"
    assert masks.hide(once) == once


def test_keys_that_become_equal_lose_no_value() -> None:
    masks = masks_of(["first-secret", "other-secret"])
    outputs = {"first-secret": 1, "other-secret": 2, f"{MASK} (2)": 3, "plain": 4}
    hidden = mask(masks, e.FinishAction(outputs=outputs)).outputs
    assert hidden == {MASK: 1, f"{MASK} (3)": 2, f"{MASK} (2)": 3, "plain": 4}


def test_a_number_that_is_a_secret_is_hidden_where_its_meaning_is_unknown() -> None:
    masks = masks_of(["47114711"])
    outputs = {"pin": 47114711, "list": [47114711, 1, True, None, 2.5, 47114711.5]}
    assert mask(masks, e.FinishAction(outputs=outputs)).outputs == {
        "pin": MASK, "list": [MASK, 1, True, None, 2.5, MASK],
    }  # fmt: skip


def test_the_lines_of_a_long_secret_are_hidden_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nAgEAAoIBAQC7VJTUt9Us8cKj\nshort\n-----END KEY-----\n"
    masks = masks_of([key])
    assert masks.hide(f"({key.strip()})") == f"({MASK})"
    assert masks.hide(key.strip().replace("\n", "\r\n")) == MASK
    assert masks.hide("1: MIIEvQIBADANBgkqhkiG9w0BAQ") == f"1: {MASK}"
    assert masks.hide("-----BEGIN KEY----- short") == "-----BEGIN KEY----- short"


def test_white_space_around_a_secret_is_no_part_of_it() -> None:
    assert masks_of([f" {SECRET}\n"]).hide(f"key={SECRET};") == f"key={MASK};"


def test_no_secret_is_in_a_repr() -> None:
    assert SECRET not in repr(MASKS)


@given(st.text(), st.lists(st.text(min_size=6), min_size=1), st.data())
def test_no_text_shows_a_secret_that_can_be_hidden(around: str, secrets: list[str], data: st.DataObject) -> None:
    masks = masks_of(secrets)
    secret = data.draw(st.sampled_from(secrets))
    hidden = masks.hide(f"{around}{secret}{around}")
    if is_maskable(secret) and secret.strip() not in MASK:
        assert secret.strip() not in hidden.replace(MASK, "\0")
    assert masks.hide(around) == around or any(text in around for text in masks.texts)


def test_k34_a_secret_that_comes_in_pieces_is_never_shown_in_pieces() -> None:
    masks = masks_of([SECRET])
    shown = [masks.hide_growing(f"it is {SECRET[:end]}") for end in range(len(SECRET) + 1)]
    assert shown == ["it is "] * len(SECRET) + [f"it is {MASK}"]
    assert masks.hide_growing(f"it is {SECRET[:-1]}, or not") == f"it is {SECRET[:-1]}, or not"


TORN = st.lists(st.text("ab<s>", min_size=6, max_size=9), min_size=1, max_size=3)


@given(TORN, st.lists(st.text("ab<s>_hidecrt", max_size=4) | TORN.map(lambda some: some[0]), max_size=8), st.data())
def test_k34_what_is_shown_of_a_growing_text_only_grows_and_becomes_what_is_stored(
    secrets: list[str], parts: list[str], data: st.DataObject
) -> None:
    masks, text, shown = masks_of(secrets), "", ""
    for part in parts:
        text += data.draw(st.sampled_from([part, *secrets]))
        grown = masks.hide_growing(text)
        assert grown.startswith(shown)
        shown = grown
    assert masks.hide(text).startswith(shown)
    assert masks.hide_growing(text + "!" * 10) == masks.hide(text + "!" * 10)
