"""Selects the part of a long conversation that is sent to a model."""

from collections.abc import Sequence

import msgspec

from service.model.interface import ChatMessage

STEP = 10
"""Pairs that are left out at a time, so that what a provider caches stays for as many turns."""

MESSAGE_OVERHEAD = 4
"""Tokens for who speaks and where a message ends."""

_HEAD = 2  # the starting prompt and the opening
_BYTES_PER_TOKEN = 3


class ContextWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The messages to send, how many were left out, and the estimated tokens with `fixed`."""

    messages: tuple[ChatMessage, ...]
    left_out: int
    estimated_tokens: int


def estimate_tokens(text: str) -> int:
    """One token for every three bytes of UTF-8, rounded up.

    That is cautious for English, which takes about four, and about right for other scripts.
    """
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def truncate(messages: Sequence[ChatMessage], limit: int, fixed: int) -> ContextWindow:
    """Leaves out messages so that the request stays within `limit` tokens.

    `messages` alternate and begin with the user's; `fixed` are the tokens of the system prompt.
    Nothing is left out while the estimate is within the limit. Then the starting prompt, the
    opening and the newest messages stay, and of those between the oldest pairs of question and
    answer are left out, `STEP` pairs at a time. Only where no such number is enough is it the
    smallest that is. The last pair and the newest question always stay, even above the limit.
    """
    costs = [estimate_tokens(message.text) + MESSAGE_OVERHEAD for message in messages]
    total = fixed + sum(costs)
    droppable = max(0, (len(messages) - _HEAD) // 2 - 1)
    # tokens[n] is what remains when the n oldest pairs are left out
    tokens = [total]
    for pair in range(droppable):
        first = _HEAD + 2 * pair
        tokens.append(tokens[-1] - costs[first] - costs[first + 1])
    pairs = _pairs_to_leave_out(tokens, limit)
    return ContextWindow(
        messages=(*messages[:_HEAD], *messages[_HEAD + 2 * pairs :]),
        left_out=2 * pairs,
        estimated_tokens=tokens[pairs],
    )


def _pairs_to_leave_out(tokens: Sequence[int], limit: int) -> int:
    enough = [pairs for pairs, remaining in enumerate(tokens) if remaining <= limit]
    in_steps = (pairs for pairs in enough if pairs % STEP == 0)
    return next(in_steps, enough[0] if enough else len(tokens) - 1)
