"""A model that does what a script says, and clocks that only move when somebody says so."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from eventstore.reply_records import PromptVersion, Usage
from service.model import errors
from service.model.client import Asker, AskingPolicy, BreakerPolicy, Effort
from service.model.errors import Cause, ModelFailure
from service.model.interface import ChatMessage, ReplyRequest, Request, Scenario
from service.model.prices import ModelRates, Prices
from service.model.response import Arrival

FIRST, SECOND = "first-model", "second-model"
PROMPT = PromptVersion(name="scripted.v1", sha256="0" * 64)
PRICES = Prices(
    version="of-the-test",
    models={
        FIRST: ModelRates(input=Decimal(1), output=Decimal(10)),
        SECOND: ModelRates(input=Decimal(2), output=Decimal(20)),
    },
)
SCENARIO = Scenario("Tides", "On a pier.", "Two bulges.", ("Explain the tides",), "Be kind.")
REQUEST = ReplyRequest(
    scenario=SCENARIO, messages=(ChatMessage("user", "Let us begin."),), max_tokens=300
)
USAGE = Usage(input_tokens=100, output_tokens=7)

Step = Callable[[Arrival, float], Awaitable[None]]


class Time:
    """Seconds that pass only by `sleep` and `spend`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class LoopTime:
    """The running loop's time, which passes only by `spend`: what is slow meets no deadline."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        self.spent = 0.0
        patch.setattr(loop, "time", lambda: self._now + self.spent)

    def spend(self, seconds: float) -> None:
        self.spent += seconds

    async def until(self, spent: float) -> None:
        """Returns when all that is due by then is done."""
        self.spent = spent
        for _ in range(50):
            await asyncio.sleep(0)


class ScriptedModel:
    """Takes one step of the script for each question; keeps who was asked, and the budgets."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.asked: list[str] = []
        self.budgets: list[float] = []

    def prompt(self, request: Request) -> PromptVersion:
        return PROMPT

    async def warm_up(self) -> None:
        """Nothing is slow here."""

    async def answer(self, request: Request, arrival: Arrival, budget: float) -> None:
        self.asked.append(arrival.asked)
        self.budgets.append(budget)
        await self.steps.pop(0)(arrival, budget)

    async def close(self) -> None:
        """Nothing is open here."""


def says(text: str, *, usage: Usage | None = USAGE, model: str | None = None) -> Step:
    async def step(arrival: Arrival, budget: float) -> None:
        arrival.model = model or arrival.asked
        arrival.usage = usage
        arrival.provider_request_id = "req_good"
        arrival.add(text)
        arrival.stop_reason = "end_turn"

    return step


def fails(
    code: str,
    retry_after: float | None = None,
    *,
    text: str = "",
    usage: Usage | None = None,
) -> Step:
    async def step(arrival: Arrival, budget: float) -> None:
        arrival.usage = usage
        arrival.provider_request_id = "req_bad"
        arrival.add(text)
        raise arrival.failure(Cause(code, "as scripted", retry_after))

    return step


def takes(time: Time, seconds: float, then: Step) -> Step:
    """Keeps to its budget, as every model does."""

    async def step(arrival: Arrival, budget: float) -> None:
        if seconds >= budget:
            time.spend(budget)
            raise arrival.failure(Cause(errors.MODEL_TIMEOUT, "as scripted"))
        time.spend(seconds)
        await then(arrival, budget)

    return step


def raises(error: Exception) -> Step:
    async def step(arrival: Arrival, budget: float) -> None:
        raise error

    return step


def hangs(reached: asyncio.Event, text: str = "", usage: Usage | None = None) -> Step:
    """Says `text`, sets `reached`, and never ends by itself."""

    async def step(arrival: Arrival, budget: float) -> None:
        arrival.usage = usage
        arrival.add(text)
        reached.set()
        await asyncio.Event().wait()

    return step


def asker_of(
    model: ScriptedModel, time: Time, policy: AskingPolicy | None = None, rng: float = 1.0
) -> Asker:
    """By default with pauses of exactly 1, 2 and 4 seconds, and a circuit that stays closed."""
    policy = policy or AskingPolicy(
        first_pause=1.0, longest_pause=4.0, breaker=BreakerPolicy(failures=1000)
    )
    return Asker(model, PRICES, policy, rng=lambda: rng, clock=time, sleep=time.sleep)


async def failure_of(
    asker: Asker, effort: Effort, models: tuple[str, ...] = (FIRST,), budget: float = 60.0
) -> ModelFailure:
    """What the asker raises when it has given up."""
    with pytest.raises(ModelFailure) as caught:
        await asker.ask_for_text(REQUEST, models, budget, effort)
    return caught.value


def outcomes_of(effort: Effort) -> list[tuple[str, str]]:
    """Whom each attempt asked, and how it ended."""
    return [(record.model, record.outcome) for record in effort.attempt_records]
