"""The figures of a course or of one of its experiences: numbers, no names, no text."""

from datetime import date

import msgspec

from service.analytics.freshness import Freshness


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the days asked for.

    Attributes:
        learners: Different ones who asked for a conversation or said something.
        conversations: Opened by the model.
        failed: Openings and messages that the model did not answer.
        cancelled: Openings and messages whose answer was stopped.
        objectives_covered: First covered in their conversations.
        cost_microusd: Millionths of a US dollar, as far as known.
        unpriced: How many costs are not known.
    """

    learners: int
    conversations: int
    messages: int
    replies: int
    failed: int
    cancelled: int
    objectives_covered: int
    cost_microusd: int
    unpriced: int


class Day(Totals, frozen=True, kw_only=True):
    """What happened on one day in UTC. Learners of several days cannot be added up."""

    day: date


class CourseTotals(Totals, frozen=True, kw_only=True):
    """What happened in one course."""

    course_id: int


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """How many came to each stage; `met`: all objectives are covered."""

    opened: int
    replied: int
    completed: int
    with_objectives: int
    met: int


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """How far the conversations opened in the days asked for have come by now.

    Attributes:
        learners: The different learners of these conversations.
        objectives: Of all conversations together.
        covered: How many of these objectives are covered.
        share: Their share, 0 to 1; null where there are no objectives.
    """

    ai_experience_id: int
    conversations: Stages
    learners: Stages
    objectives: int
    covered: int
    share: float | None


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """One objective over the conversations opened in the days asked for.

    Attributes:
        version: Of the experience.
        objective: Its place in that version, counted from 1.
        conversations: Those that have it.
        covered: Those that have covered it by now; `share` of all, 0 to 1.
        median_turn: At which of the learner's messages they did so; null where none did.
    """

    ai_experience_id: int
    version: int
    objective: int
    conversations: int
    covered: int
    share: float
    median_turn: float | None


class Outcome(msgspec.Struct, frozen=True):
    """How many turns of a kind ended so; `code` says why they failed or were stopped."""

    kind: str
    outcome: str
    code: str | None
    turns: int


class Spread(msgspec.Struct, frozen=True):
    """The median, and what 95 of a hundred do not exceed; null where there is nothing."""

    p50: float | None
    p95: float | None


class Bin(msgspec.Struct, frozen=True, rename={"lower": "from", "upper": "below"}):
    """How many values are at least `from` and below `below`, which is null for the last."""

    lower: int
    upper: int | None
    count: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long learners waited for the answers that they got, in milliseconds."""

    turns: int
    duration_ms: Spread
    first_token_ms: Spread
    durations: tuple[Bin, ...]


class ConversationCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What conversations opened in the days asked for have cost by now, where all is known."""

    conversations: int
    cost_microusd: Spread
    costs: tuple[Bin, ...]


class ModelCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a model cost for one purpose.

    Attributes:
        model: unknown where nobody noted it.
        purpose: opening, message, assessment or evaluation.
        unpriced: How many costs are not known, and not in `cost_microusd`.
    """

    model: str
    purpose: str
    input_tokens: int | None
    output_tokens: int | None
    cache_creation_input_tokens: int | None
    cache_read_input_tokens: int | None
    cost_microusd: int
    unpriced: int


class Votes(msgspec.Struct, frozen=True, kw_only=True):
    """Votes given in the days asked for that stand, of whomever and of learners alone."""

    liked: int
    disliked: int
    learners_liked: int
    learners_disliked: int
    withdrawn: int


class CourseFigures(
    msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}
):
    """The figures of a course, from one day to another, both included, in UTC."""

    course_id: int
    first: date
    last: date
    freshness: Freshness
    totals: Totals
    days: tuple[Day, ...]
    funnels: tuple[Funnel, ...]
    objectives: tuple[Objective, ...]
    outcomes: tuple[Outcome, ...]
    latency: Latency
    costs: ConversationCosts
    models: tuple[ModelCost, ...]
    feedback: Votes


class ExperienceFigures(CourseFigures, frozen=True, kw_only=True):
    """The figures of one experience; `funnels` has at most one."""

    ai_experience_id: int


class CoursesFigures(
    msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}
):
    """One page of the account's courses, from one day to another, both included, in UTC."""

    first: date
    last: date
    freshness: Freshness
    courses: tuple[CourseTotals, ...]
