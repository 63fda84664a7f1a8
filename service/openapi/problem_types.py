"""The shapes of all errors, as types.

Tests decode real answers with these, no field more or less, so the description cannot drift.
"""

from typing import Literal

import msgspec


class Said(msgspec.Struct, frozen=True):
    """One sentence about what is wrong."""

    message: str


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence."""

    error: str
    reference_id: str


class FieldProblems(msgspec.Struct, frozen=True):
    """What is wrong, field by field."""

    errors: dict[str, tuple[Said, ...]]
    reference_id: str


class CodedProblem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence fit for a learner, with a code and whether to try again."""

    error: str
    code: str
    retryable: bool
    reference_id: str


class TurnProblem(CodedProblem, frozen=True, kw_only=True):
    """A reply is under way; `turn_id` names its turn."""

    turn_id: str


class UnansweredProblem(CodedProblem, frozen=True, kw_only=True):
    """A message has no answer; it stays, and `turn_id` names the turn to retry."""

    turn_id: str
    message_id: str


class HoldProblem(CodedProblem, frozen=True, kw_only=True):
    """Legal holds cover the learner; `holds` are their numbers."""

    holds: tuple[int, ...]


class NoToken(msgspec.Struct, frozen=True, kw_only=True):
    """There is no token."""

    status: Literal["unauthenticated"]
    errors: tuple[Said, ...]
    reference_id: str


class BadToken(msgspec.Struct, frozen=True):
    """The token is wrong, expired, or without the scope."""

    errors: tuple[Said, ...]
    reference_id: str


class Forbidden(msgspec.Struct, frozen=True, kw_only=True):
    """The token's user may not."""

    status: Literal["unauthorized"]
    errors: tuple[Said, ...]
    reference_id: str


PROBLEMS: tuple[type[msgspec.Struct], ...] = (
    *(Problem, FieldProblems, CodedProblem, TurnProblem, UnansweredProblem, HoldProblem),
    *(NoToken, BadToken, Forbidden),
)
"""All shapes."""
