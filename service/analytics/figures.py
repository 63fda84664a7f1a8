"""The figures of a course or of one of its experiences: numbers, no names, no text."""

from datetime import date

import msgspec

from service.analytics.freshness import Freshness


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the days asked for.

    Attributes:
        learners: Number of different learners who asked for a conversation or sent a message.
        conversations: Conversations that the model opened.
        failed: Openings and messages that the model did not answer.
        cancelled: Openings and messages whose answer was stopped.
        objectives_covered: Objectives that were covered for the first time in a conversation.
        cost_microusd: Known costs, in millionths of a US dollar.
        unpriced: Number of unknown costs.
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
    """What happened on one day in UTC. A learner may be counted on several days."""

    day: date


class CourseTotals(Totals, frozen=True, kw_only=True):
    """What happened in one course."""

    course_id: int


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """How many reached each stage; `met`: all objectives are covered."""

    opened: int
    replied: int
    completed: int
    with_objectives: int
    met: int


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """The stages that conversations opened in the days asked for have reached by now.

    Attributes:
        learners: The different learners of these conversations.
        objectives: Number of objectives of all these conversations together.
        covered: How many of these objectives are covered.
        share: Their share, 0 to 1; null without objectives.
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
        version: The version of the experience.
        objective: Its number in that version, from 1 on.
        conversations: Number of conversations with this objective.
        covered: How many of them have covered it by now.
        share: Their share, 0 to 1.
        median_turn: The median number of the learner's message that covered it; null if none did.
    """

    ai_experience_id: int
    version: int
    objective: int
    conversations: int
    covered: int
    share: float
    median_turn: float | None


class Outcome(msgspec.Struct, frozen=True):
    """How many turns of a kind had this outcome; `code` says why they failed or were stopped.

    `retries` of them asked again for the answer to a message, and `takeovers` is how often another
    process asked the model anew in them.
    """

    kind: str
    outcome: str
    code: str | None
    turns: int
    retries: int
    takeovers: int


class Spread(msgspec.Struct, frozen=True):
    """The median and the 95th percentile; null without values."""

    p50: float | None
    p95: float | None


class Bin(msgspec.Struct, frozen=True, rename={"lower": "from", "upper": "below"}):
    """How many values are at least `from` and below `below`; the last bin's `below` is null."""

    lower: int
    upper: int | None
    count: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long learners waited for the answers that they received, in milliseconds."""

    turns: int
    duration_ms: Spread
    first_token_ms: Spread
    durations: tuple[Bin, ...]


class ConversationCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Costs by now of the conversations opened in the days asked for whose costs are all known."""

    conversations: int
    cost_microusd: Spread
    costs: tuple[Bin, ...]


class ModelCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a model cost for one purpose.

    Attributes:
        model: `unknown` if it was not recorded.
        purpose: opening, message, assessment or evaluation.
        unpriced: Number of unknown costs, which `cost_microusd` lacks.
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
    """Votes given in the days asked for and not withdrawn: all, and those of learners."""

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
