"""The language of shapes: what it lets pass, and that it says where something is amiss."""

from typing import Any

import pytest

from tests.compliance.shapes import difference


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (str, "a"), (int, 1), (bool, True), (float, 1.5), (float, 1), (object, None), (None, None), ("V0", "V0"),
        ((str, None), None), ([int], []), ([], []), ([int], [1, 2]), ({"a": int, "b": [str]}, {"a": 1, "b": ["c"]}),
        (dict, {"x": 1}),
    ],
)  # fmt: skip
def test_what_has_the_shape_passes(shape: Any, value: Any) -> None:
    assert difference(shape, value) == ""


@pytest.mark.parametrize(
    ("shape", "value", "place"),
    [
        (int, True, "it is True"),
        (bool, 1, "it is 1"),
        (True, 1, "it is 1"),
        ((str, None), 1, "it is 1, not <class 'str'> and it is 1"),
        ({"a": int, "b": int}, {"b": 1, "a": 1}, "it has the keys"),
        ({"a": int}, {"a": 1, "b": 1}, "it has the keys"),
        ({"a": {"b": [int]}}, {"a": {"b": [1, "x"]}}, "it.a.b[1] is 'x'"),
        ([int], {}, "it is {}"),
        ([], [1], "it is [1]"),
        ({}, [], "it is []"),
    ],
)
def test_what_has_not_is_told_by_its_place(shape: Any, value: Any, place: str) -> None:
    assert difference(shape, value).startswith(place)
