"""The keys of tool servers: concealed, found again by the server's url or name, and never taken from another one."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.masks import MASK
from actors.settings.errors import HiddenValueUnknown
from actors.settings.tool_servers import conceal, reveal, secrets_in

CONFIG: dict[str, Any] = {
    "sse_servers": ["http://plain", {"url": "http://a", "api_key": "key-a"}, {"url": "http://open", "api_key": None}],
    "shttp_servers": [{"url": "http://a", "api_key": "key-b", "timeout": 60}],
    "stdio_servers": [
        {"name": "n", "command": "c", "args": ["x"], "env": {"GITHUB_TOKEN": "key-c", "MODE": "production"}},
        {"name": "o", "command": "c"},
    ],
}


def test_keys_become_masks_and_nothing_else_does() -> None:
    before = copy.deepcopy(CONFIG)
    shown = conceal(CONFIG)
    assert before == CONFIG
    assert str(shown) == str(CONFIG).replace("key-a", MASK).replace("key-b", MASK).replace("key-c", MASK)
    assert list(secrets_in(CONFIG)) == ["key-a", "key-b", "key-c"]


def test_what_was_shown_comes_back_as_it_was_in_any_order() -> None:
    shown = conceal(CONFIG)
    assert reveal(shown, CONFIG) == CONFIG
    turned = {kind: servers[::-1] for kind, servers in shown.items()}
    assert reveal(turned, CONFIG) == {kind: servers[::-1] for kind, servers in CONFIG.items()}


def test_a_new_key_is_taken() -> None:
    given = {"sse_servers": [{"url": "http://a", "api_key": "new"}]}
    assert reveal(given, CONFIG) == given


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"sse_servers": [{"url": "http://evil", "api_key": MASK}]}, ("sse_servers", 0, "api_key")),
        ({"sse_servers": ["x", {"url": "http://open", "api_key": MASK}]}, ("sse_servers", 1, "api_key")),
        ({"other_servers": [{"url": "http://a", "api_key": MASK}]}, ("other_servers", 0, "api_key")),
        ({"stdio_servers": [{"name": "n", "env": {"MY_KEY": MASK}}]}, ("stdio_servers", 0, "env", "MY_KEY")),
        (
            {"stdio_servers": [{"name": "o", "env": {"GITHUB_TOKEN": MASK}}]},
            ("stdio_servers", 0, "env", "GITHUB_TOKEN"),
        ),
    ],
)
def test_a_mask_takes_no_key_of_another_server(given: dict[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(HiddenValueUnknown) as caught:
        reveal(given, CONFIG)
    assert caught.value.place == place


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sse_servers", "url", "api_key", "env", "A_KEY", "name"]), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["sse_servers", "shttp_servers", "stdio_servers", "zzz"]), JSON))
def test_any_shape_is_concealed_and_comes_back(config: dict[str, Any]) -> None:
    """By the same url twice, only the first is known; so identities are made different here."""
    for servers in config.values():
        for place, server in enumerate(servers if isinstance(servers, list) else []):
            if isinstance(server, dict):
                server["url"] = server["name"] = str(place)
    assert reveal(conceal(config), config) == config
