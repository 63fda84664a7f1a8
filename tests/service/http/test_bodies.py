"""Bodies: forms with nested keys become what JSON would have been."""

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access_log import check_reason
from service.conversations.bodies import MAX_MESSAGE, FeedbackBody, MessageBody
from service.errors import BadRequest, TextTooLong
from service.http.forms import parse_form
from service.privacy.bodies import ErasureBody

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="[]", exclude_categories=["Cs"]), min_size=1
)
NESTED = st.recursive(
    st.text(st.characters(codec="utf-8")),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=10,
)


def flattened(value: Any, key: str) -> list[tuple[str, str]]:
    """As a Canvas client writes nested fields."""
    if isinstance(value, dict):
        return [pair for name in value for pair in flattened(value[name], f"{key}[{name}]")]
    return [(key, value)]


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1+2%2B3", {"a": "1 2+3"}),
        ("a[b]=1", {"a": {"b": "1"}}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a[b][c]=1&a[b][d]=2&e=3", {"a": {"b": {"c": "1", "d": "2"}}, "e": "3"}),
        ("ai_experience[title]=Tides", {"ai_experience": {"title": "Tides"}}),
        ("a[b]=1&a[b]=2", {"a": {"b": "2"}}),
        ("a b[c d]=1", {"a b": {"c d": "1"}}),
    ],
)
def test_form_keys_nest(form: str, fields: dict[str, Any]) -> None:
    assert parse_form(form.encode()) == fields


@given(st.dictionaries(NAMES, NESTED, max_size=4))
def test_a_nested_form_is_read_as_it_was_written(fields: dict[str, Any]) -> None:
    pairs = [pair for name, value in fields.items() for pair in flattened(value, name)]
    assert parse_form(urlencode(pairs).encode()) == fields


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_aparse_form(raw: bytes) -> None:
    """A dictionary comes out of it, or a refusal."""
    with suppress(BadRequest):
        assert isinstance(parse_form(raw), dict)


@pytest.mark.parametrize(
    "form", ["a=1&a[b]=2", "a[b]=1&a=2", "a[b]=1&a[b][c]=2", "a[b][c]=1&a[b]=2"]
)
def test_a_key_is_a_value_or_a_group(form: str) -> None:
    with pytest.raises(BadRequest, match="stands for a value and for a group"):
        parse_form(form.encode())


@pytest.mark.parametrize("text", ["x", " x ", "x" * MAX_MESSAGE, "🌊" * MAX_MESSAGE, "x\ufeff"])
def test_a_message_is_taken_as_it_is(text: str) -> None:
    assert MessageBody(text).text() == text


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (None, "message is required"),
        ("", "message is required"),
        (" \t\n\u3000", "message is required"),
        *(
            (text, "message is required")
            for text in (
                *("\u200b", "\u200d\u200d", "\ufeff", "\u2060 \u180e", "\u3164", "\u115f\u1160"),
                *("\uffa0", "\u2800\u2800", "\u00ad", "\u034f", "\u202e", "\ufe0f", "\x07"),
                *("\U000e0001\U000e0041", "\U000e0100", "\u17b4", "\U0001d159", "\u200b" * 4000),
            )
        ),
        ("a\0", "message must not contain the NUL character"),
        ("\ud800", "message must not contain lone surrogates"),
        ("a\udfffb", "message must not contain lone surrogates"),
    ],
)
def test_a_message_that_cannot_be_kept_is_refused(text: str | None, refusal: str) -> None:
    with pytest.raises(BadRequest, match=refusal):
        MessageBody(text).text()


def test_words_beside_a_vote_that_nobody_would_see_are_none() -> None:
    for text in ("", "\u200b", "\u3164 \ufeff", " \n"):
        assert FeedbackBody(feedback_message=text).checked_text() is None
    assert FeedbackBody(feedback_message="\u200bx").checked_text() == "\u200bx"


def test_a_reason_that_nobody_would_see_is_none() -> None:
    for text in ("\u200b", "\u3164", "\ufeff\u2060"):
        with pytest.raises(BadRequest, match="reason is required"):
            ErasureBody(reason=text).checked_reason()
        with pytest.raises(BadRequest, match="a reason is required: say why"):
            check_reason(text, "say why", required=True)
        assert check_reason(text, "say why", required=False) is None


def test_a_message_over_the_limit_is_too_long() -> None:
    with pytest.raises(TextTooLong):
        MessageBody("x" * (MAX_MESSAGE + 1)).text()


def test_a_form_key_that_goes_too_deep_is_refused_at_once() -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        parse_form(urlencode({"a" + "[b]" * 100_000: "c"}).encode())
