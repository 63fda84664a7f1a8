from hypothesis import given
from hypothesis import strategies as st

from service.model.context_window import (
    MESSAGE_OVERHEAD,
    STEP,
    ContextWindow,
    estimate_tokens,
    truncate,
)
from service.model.interface import ChatMessage

LONG = 300  # bytes of a message; 100 tokens
EACH = 100 + MESSAGE_OVERHEAD


def conversation(pairs: int, size: int = LONG) -> tuple[ChatMessage, ...]:
    """The starting prompt, the opening, so many answered questions, and a new one."""
    count = 2 + 2 * pairs + 1
    return tuple(
        ChatMessage("assistant" if place % 2 else "user", f"{place} ".ljust(size, "x"))
        for place in range(count)
    )


def left_out(pairs: int, limit: int) -> int:
    """How many pairs of a long conversation are left out."""
    return truncate(conversation(pairs), limit, 0).left_out // 2


def test_a_token_is_estimated_for_every_three_bytes() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abc", "abcd", "雪", "雪山", "é")] == [
        *(0, 1, 1, 2, 1, 2, 1),
    ]


def test_all_is_sent_while_it_is_within_the_limit() -> None:
    messages = conversation(pairs=20)
    whole = 50 + 43 * EACH
    assert truncate(messages, whole, 50) == ContextWindow(
        messages=messages, left_out=0, estimated_tokens=whole
    )
    assert truncate(messages, whole - 1, 50).left_out == 2 * STEP


def test_the_opening_and_the_newest_messages_stay_and_the_oldest_between_go() -> None:
    messages = conversation(pairs=20)
    fitted = truncate(messages, 43 * EACH - 1, 0)
    assert fitted.messages == messages[:2] + messages[2 + 2 * STEP :]
    assert fitted.left_out == 2 * STEP
    assert fitted.estimated_tokens == 23 * EACH


def test_the_left_out_messages_stay_the_same_for_a_steps_number_of_turns() -> None:
    limit = 33 * EACH  # 15 pairs
    assert [left_out(pairs, limit) for pairs in range(14, 38)] == [0] * 2 + [10] * 10 + [
        20
    ] * 10 + [30] * 2


def test_the_instructions_count() -> None:
    messages = conversation(pairs=15)
    assert truncate(messages, 33 * EACH, 0).left_out == 0
    assert truncate(messages, 33 * EACH, 1).left_out == 2 * STEP


def test_the_smallest_sufficient_number_is_left_out_if_no_step_suffices() -> None:
    assert left_out(pairs=8, limit=13 * EACH) == 3  # room for 5 pairs, and too few for a step
    assert left_out(pairs=18, limit=13 * EACH) == 13


def test_the_last_pair_and_the_newest_question_stay_even_above_the_limit() -> None:
    messages = conversation(pairs=17)
    fitted = truncate(messages, 1, 10)
    assert fitted.messages == messages[:2] + messages[-3:]
    assert fitted.estimated_tokens == 10 + 5 * EACH


def test_an_opening_and_a_first_question_are_never_cut() -> None:
    for count in (0, 1, 2, 3, 4, 5):
        messages = conversation(pairs=1)[:count]
        assert truncate(messages, 0, 0).messages == messages
        assert truncate(messages, 0, 0).left_out == 0


def test_a_conversation_that_ends_with_an_answer_keeps_its_last_pair() -> None:
    messages = conversation(pairs=3)[:-1]
    assert truncate(messages, 1, 0).messages == messages[:2] + messages[-2:]


texts = st.text(max_size=40)
conversations = st.lists(texts, min_size=1, max_size=120).map(
    lambda said: tuple(
        ChatMessage("assistant" if place % 2 else "user", text) for place, text in enumerate(said)
    )
)
limits = st.integers(0, 2000)


@given(conversations, limits, st.integers(0, 200))
def test_the_sent_messages_alternate_and_keep_both_ends(
    messages: tuple[ChatMessage, ...], limit: int, fixed: int
) -> None:
    fitted = truncate(messages, limit, fixed)
    roles = [message.role for message in fitted.messages]
    assert roles == [message.role for message in messages[: len(roles)]]
    assert fitted.messages[:2] == messages[:2]
    kept = len(fitted.messages) - 2
    assert kept < 1 or fitted.messages[2:] == messages[-kept:]
    assert kept >= min(len(messages) - 2, 3 if len(messages) % 2 else 2)
    assert len(fitted.messages) + fitted.left_out == len(messages)


@given(conversations, limits, st.integers(0, 200))
def test_it_is_within_the_limit_unless_only_the_ends_are_left(
    messages: tuple[ChatMessage, ...], limit: int, fixed: int
) -> None:
    fitted = truncate(messages, limit, fixed)
    estimate = sum(estimate_tokens(message.text) + MESSAGE_OVERHEAD for message in fitted.messages)
    assert fitted.estimated_tokens == fixed + estimate
    assert fitted.estimated_tokens <= limit or len(fitted.messages) <= 5


@given(conversations, limits)
def test_as_a_conversation_grows_no_message_comes_back(
    messages: tuple[ChatMessage, ...], limit: int
) -> None:
    counts = [
        truncate(messages[:length], limit, 0).left_out for length in range(1, len(messages) + 1, 2)
    ]
    assert counts == sorted(counts)


@given(conversations, limits)
def test_pairs_are_left_out_in_steps_wherever_a_step_is_enough(
    messages: tuple[ChatMessage, ...], limit: int
) -> None:
    pairs = truncate(messages, limit, 0).left_out // 2
    next_step = -(-pairs // STEP) * STEP
    possible = (len(messages) - 2) // 2 - 1
    assert pairs == next_step or next_step > possible
