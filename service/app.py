"""The composition root: what the service is made of, put together in one place."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import structlog
from aiohttp import web
from yarl import URL

from eventstore.clock import DatabaseClock, database_clock
from eventstore.connections import AccountPool, LogGrowth, Pool, close_pool, open_pool
from eventstore.link import Link
from eventstore.log import EventLog
from eventstore.opening import running_log
from eventstore.primary import Primary
from projections.runner import Runner
from service import quotas
from service.analyst_sessions import AnalystSessions
from service.analytics.reading import Figures
from service.audit.desk import make_desk
from service.browsers import cross_origin, response_headers
from service.callers import Callers, Identities
from service.dialogues import Dialogues
from service.evaluations import Evaluations
from service.evaluator import Evaluator
from service.experiences import Experiences
from service.following import STOP, Following
from service.forms import BODY_TIMEOUT
from service.identity.trust import Trust, check_accounts, read_trust
from service.learners.erasure import Erasure
from service.learners.forgetting import FORGET, Forgetting
from service.learners.holds import Holds
from service.learners.reads import Reads
from service.learners.records import LearnerRecords
from service.learners.retention import Retention
from service.learners.retention_job import RetentionJob
from service.live_turn import LiveTurns
from service.middlewares import answer_errors, check_again, identify_and_log
from service.model.asking import Asker, AskingPolicy
from service.model.errors import ModelFailure
from service.model.interface import Model
from service.model.prices import read_prices
from service.owners import Owners
from service.readiness import Readiness
from service.requests import SERVICES, Services
from service.routes import ROUTES
from service.setting_values import origins_of
from service.settings import Settings
from service.sweeper import Sweeper
from service.turns import Turns
from service.tutor import Limits, ModelChoice, Tutor
from sql.loader import query

WORKERS = 4
MAX_BODY = 1024**2

_CALLS_PER_REPLY = 2
"""A reply, and the judgement beside it."""

log = structlog.get_logger("colloquy")


@asynccontextmanager
async def running_app(settings: Settings, url: str) -> AsyncIterator[web.Application]:
    """The application with everything that it needs running, on a database that is ready.

    Args:
        url: The owner's connection URL.
    """
    trust = read_trust(settings.jwt) if settings.jwt else None
    async with AsyncExitStack() as stack:
        growth = LogGrowth()
        primary = Primary(url)
        address = f"{settings.host}:{settings.port}"
        log_parts = await stack.enter_async_context(running_log(url, growth, primary, address))
        events, pool, link = log_parts
        workers = await open_pool(url, "colloquy_worker", WORKERS, growth, primary)
        stack.push_async_callback(close_pool, workers)
        identities = await _identities(stack, workers, trust) if trust else None
        model, choice = make_model(settings)
        stack.push_async_callback(model.close)
        clock = await database_clock(workers)
        services = _services(
            settings, model, choice, clock, events, pool, workers, identities, link
        )
        link.on(STOP, services.following.hear_stop)
        sweeper = Sweeper(workers, services.dialogues, services.evaluations)
        await sweeper.try_sweep()  # who was in the middle of a turn when we died can go on
        stack.push_async_callback(_drain, services, 0)
        job = RetentionJob(workers, Retention(events, pool, link))
        for work in (
            _warm_up(model),
            sweeper.run(),
            Runner(workers, link, growth).run(),
            job.run(),
            AnalystSessions(workers).run(),
            clock.run(workers),
        ):
            await stack.enter_async_context(_background(work))
        if settings.seal_seconds:
            from service.sealing import make_sealer

            sealer = make_sealer(settings, url, primary)
            await stack.enter_async_context(_background(sealer.run()))
        yield _application(services, settings)


def _services(
    settings: Settings,
    model: Model,
    choice: ModelChoice,
    clock: DatabaseClock,
    events: EventLog,
    pool: AccountPool,
    workers: Pool,
    identities: Identities | None,
    link: Link,
) -> Services:
    owners = Owners(workers, link.owner, clock.now)
    dialogues = Dialogues(events, owners)
    experiences = Experiences(events, pool)
    asker = Asker(model, read_prices(settings.prices), _policy(settings))
    limits = _limits(settings)
    live = LiveTurns()
    following = Following(dialogues, link, live)
    forgetting = Forgetting(dialogues, live, link)
    link.on(FORGET, forgetting.hear)
    tutor = Tutor(asker, experiences, choice, limits)
    evaluator = Evaluator(
        pool=pool, experiences=experiences, asker=asker, models=choice, budget=limits.budget
    )
    return Services(
        pool=pool,
        workers=workers,
        callers=Callers(workers, identities),
        dialogues=dialogues,
        experiences=experiences,
        turns=Turns(dialogues, owners, tutor, live, following, limits.at_once),
        following=following,
        evaluations=Evaluations(
            events=events,
            pool=pool,
            link=link,
            owners=owners,
            evaluator=evaluator,
            at_once=limits.at_once,
        ),
        limits=_quota(settings),
        erasure=Erasure(events, pool, dialogues, following, forgetting, link),
        records=LearnerRecords(events, pool, Holds(events, pool)),
        reads=Reads(events, clock),
        audit=make_desk(events, pool, link, reason_required=settings.audit_reason == "required"),
        figures=Figures(pool),
        readiness=Readiness(workers, events),
        models=choice,
        clock=clock,
        owner=link.owner,
        budget=timedelta(seconds=settings.reply_timeout),
        public_url=URL(settings.public_url) if settings.public_url else None,
    )


async def _identities(stack: AsyncExitStack, workers: Pool, trust: Trust) -> Identities:
    from service.identity.jwt import running_identities

    accounts = {row["account_id"] for row in await workers.fetch(query("list_accounts"))}
    check_accounts(trust, accounts)
    return await stack.enter_async_context(running_identities(trust))


def make_model(settings: Settings) -> tuple[Model, ModelChoice]:
    """The model behind the settings: Anthropic's, or without key and URL the practice tutor."""
    if uses_provider(settings):
        from service.model.anthropic_provider import AnthropicModel

        model = AnthropicModel(
            settings.anthropic_api_key,
            settings.anthropic_base_url,
            settings.stall_timeout,
            _CALLS_PER_REPLY * settings.max_replies,
        )
        return model, ModelChoice(
            reply=settings.model,
            fallback=settings.fallback_model,
            assessment=settings.assessment_model,
            evaluation=settings.evaluation_model or settings.model,
        )
    from service.model.practice_tutor import PRACTICE_TUTOR, PracticeTutor

    return PracticeTutor(), ModelChoice(
        reply=PRACTICE_TUTOR,
        fallback=None,
        assessment=PRACTICE_TUTOR,
        evaluation=PRACTICE_TUTOR,
    )


def uses_provider(settings: Settings) -> bool:
    """Whether a provider's model answers, and not the practice tutor."""
    return bool(settings.anthropic_api_key or settings.anthropic_base_url)


def _policy(settings: Settings) -> AskingPolicy:
    return AskingPolicy(attempts=settings.max_attempts, first_pause=settings.retry_pause)


def _quota(settings: Settings) -> quotas.Limits:
    return quotas.Limits(
        create=settings.max_creates,
        message=settings.max_messages,
        evaluation=settings.max_evaluations,
        feedback=settings.max_feedback,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        budget=settings.reply_timeout,
        max_tokens=settings.max_reply_tokens,
        context_tokens=settings.max_context_tokens if uses_provider(settings) else None,
        at_once=settings.max_replies,
    )


def _application(services: Services, settings: Settings) -> web.Application:
    origins = origins_of(settings.cors_origins)
    app = web.Application(
        middlewares=[identify_and_log, cross_origin(origins), answer_errors, check_again],
        client_max_size=MAX_BODY,
    )
    app[SERVICES] = services
    app[BODY_TIMEOUT] = settings.body_timeout
    app.add_routes(ROUTES)
    app.on_response_prepare.append(response_headers(origins))

    async def drain(_app: web.Application) -> None:
        services.audit.tails.close()
        await _drain(services, settings.stop_timeout)

    app.on_shutdown.append(drain)
    return app


async def _drain(services: Services, patience: float) -> None:
    """Lets what is under way end, and records the rest."""
    await asyncio.gather(services.turns.drain(patience), services.evaluations.drain(patience))
    await services.following.close()


async def _warm_up(model: Model) -> None:
    try:
        await model.warm_up()
    except ModelFailure as error:
        log.error("model_misconfigured", detail=error.detail)


@asynccontextmanager
async def _background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(_report)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("background_task_died", task=repr(task.get_coro()), exc_info=error)
