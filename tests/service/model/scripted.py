"""A scripted model, and clocks that tests advance."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from eventstore.reply_records import PromptVersion, Usage
from service.model import errors
from service.model.client import AttemptLog, BreakerPolicy, ModelClient, RetryPolicy
from service.model.errors import Cause, ModelFailure
from service.model.interface import ChatMessage, ReplyRequest, Request, Scenario
from service.model.prices import ModelRates, Prices
from service.model.response import StreamedResponse

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

Step = Callable[[StreamedResponse, float], Awaitable[None]]


class Time:
    """A clock that only `sleep` and `spend` advance."""

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
    """The event loop's clock, which only `spend` advances: slow machines meet no deadline."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        self.spent = 0.0
        patch.setattr(loop, "time", lambda: self._now + self.spent)

    def spend(self, seconds: float) -> None:
        self.spent += seconds

    async def until(self, spent: float) -> None:
        """Advances the clock and runs what is due."""
        self.spent = spent
        for _ in range(50):
            await asyncio.sleep(0)


class ScriptedModel:
    """Takes one step of the script for each request; records the models and budgets."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.asked: list[str] = []
        self.budgets: list[float] = []

    def prompt(self, request: Request) -> PromptVersion:
        return PROMPT

    async def warm_up(self) -> None:
        """Nothing is slow here."""

    async def answer(self, request: Request, response: StreamedResponse, budget: float) -> None:
        self.asked.append(response.model_requested)
        self.budgets.append(budget)
        await self.steps.pop(0)(response, budget)

    async def close(self) -> None:
        """Nothing is open here."""


def says(text: str, *, usage: Usage | None = USAGE, model: str | None = None) -> Step:
    async def step(response: StreamedResponse, budget: float) -> None:
        response.model = model or response.model_requested
        response.usage = usage
        response.provider_request_id = "req_good"
        response.add(text)
        response.stop_reason = "end_turn"

    return step


def fails(
    code: str,
    retry_after: float | None = None,
    *,
    text: str = "",
    usage: Usage | None = None,
) -> Step:
    async def step(response: StreamedResponse, budget: float) -> None:
        response.usage = usage
        response.provider_request_id = "req_bad"
        response.add(text)
        raise response.failure(Cause(code, "as scripted", retry_after))

    return step


def takes(time: Time, seconds: float, then: Step) -> Step:
    """Respects its budget, as every model does."""

    async def step(response: StreamedResponse, budget: float) -> None:
        if seconds >= budget:
            time.spend(budget)
            raise response.failure(Cause(errors.MODEL_TIMEOUT, "as scripted"))
        time.spend(seconds)
        await then(response, budget)

    return step


def raises(error: Exception) -> Step:
    async def step(response: StreamedResponse, budget: float) -> None:
        raise error

    return step


def hangs(reached: asyncio.Event, text: str = "", usage: Usage | None = None) -> Step:
    """Sends `text`, sets `reached`, and never ends by itself."""

    async def step(response: StreamedResponse, budget: float) -> None:
        response.usage = usage
        response.add(text)
        reached.set()
        await asyncio.Event().wait()

    return step


def client_with(
    model: ScriptedModel, time: Time, policy: RetryPolicy | None = None, rng: float = 1.0
) -> ModelClient:
    """A client, by default with pauses of 1, 2 and 4 seconds and a circuit that stays closed."""
    policy = policy or RetryPolicy(
        first_pause=1.0, longest_pause=4.0, breaker=BreakerPolicy(failures=1000)
    )
    return ModelClient(model, PRICES, policy, rng=lambda: rng, clock=time, sleep=time.sleep)


async def failure_of(
    client: ModelClient,
    attempt_log: AttemptLog,
    models: tuple[str, ...] = (FIRST,),
    budget: float = 60.0,
) -> ModelFailure:
    """The failure that the client raises."""
    with pytest.raises(ModelFailure) as caught:
        await client.ask_for_text(REQUEST, models, budget, attempt_log)
    return caught.value


def outcomes_of(attempt_log: AttemptLog) -> list[tuple[str, str]]:
    """The model and outcome of each attempt."""
    return [(record.model, record.outcome) for record in attempt_log.attempt_records]
