"""Truncates long conversations for a model."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from service.model.interface import ChatMessage

STEP = 10
"""Pairs that are left out at a time, so that a provider's cache stays valid for as many turns."""

MESSAGE_OVERHEAD = 4
"""Tokens of a message for its role and its end."""

_HEAD = 2  # the starting prompt and the opening
_BYTES_PER_TOKEN = 3


class ContextWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The messages to send, the number left out, and the estimated tokens including `fixed`."""

    messages: tuple[ChatMessage, ...]
    left_out: int
    estimated_tokens: int


def estimate_tokens(text: str) -> int:
    """One token for every three bytes of UTF-8, rounded up.

    That overestimates English, with about four bytes a token, and is about right for other scripts.
    """
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def truncate(messages: Sequence[ChatMessage], limit: int, fixed: int) -> ContextWindow:
    """The messages to send to a model, so that the estimate stays within `limit` tokens.

    Above the limit, the oldest pairs of question and answer after the opening are left out, `STEP`
    pairs at a time, or as few pairs as needed if no multiple of `STEP` suffices. The starting
    prompt, the opening, the last pair and the newest question always stay, even above the limit.
    A question can be several messages: those before it that have no answer.

    Args:
        messages: Begin and end with the user's.
        limit: Tokens of the whole request.
        fixed: Tokens of the system prompt.
    """
    costs = [estimate_tokens(message.text) + MESSAGE_OVERHEAD for message in messages]
    total = fixed + sum(costs)
    starts = [  # of the pairs
        number
        for number in range(_HEAD, len(messages))
        if (messages[number - 1].role, messages[number].role) == ("assistant", "user")
    ]
    if messages and messages[-1].role == "user":  # the newest question is no pair yet
        del starts[-1:]
    # tokens[n] is the estimate without the n oldest pairs
    tokens = [total]
    for first, following in pairwise(starts):
        tokens.append(tokens[-1] - sum(costs[first:following]))
    pairs = _pairs_to_leave_out(tokens, limit)
    left_out = starts[pairs] - _HEAD if pairs else 0
    return ContextWindow(
        messages=(*messages[:_HEAD], *messages[_HEAD + left_out :]),
        left_out=left_out,
        estimated_tokens=tokens[pairs],
    )


def _pairs_to_leave_out(tokens: Sequence[int], limit: int) -> int:
    enough = [pairs for pairs, remaining in enumerate(tokens) if remaining <= limit]
    in_steps = (pairs for pairs in enough if pairs % STEP == 0)
    return next(in_steps, enough[0] if enough else len(tokens) - 1)
