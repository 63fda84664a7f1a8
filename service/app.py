"""The composition root: what the service is made of, put together in one place."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import structlog
from aiohttp import web
from yarl import URL

from eventstore.clock import DatabaseClock, database_clock
from eventstore.connections import AccountPool, LogGrowth, Pool, close_pool, open_pool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.primary import Primary
from eventstore.running_log import running_log
from projections.projection_runner import ProjectionRunner
from service.access_log import AccessLog
from service.analytics.analyst_sessions import AnalystSessions
from service.analytics.figures_queries import FiguresReader
from service.analytics.handlers import FIGURES
from service.audit.app_keys import AUDIT, EVENT_SEARCH, LIVE_TAIL, REPLAYS
from service.audit.event_search import EventSearch
from service.audit.live_tail import LiveTail
from service.audit.replays import Replays
from service.audit.service import AuditService
from service.conversations.app_keys import DIALOGUES, TURN_CONTROL, TURNS
from service.dialogue.ownership import TurnOwnership
from service.dialogue.repository import DialogueRepository
from service.evaluations.evaluations import EvaluationRunner
from service.evaluations.evaluator import Evaluator
from service.evaluations.handlers import EVALUATIONS
from service.experiences.experiences import Experiences
from service.experiences.handlers import EXPERIENCES
from service.http.cors import cross_origin, response_headers
from service.http.forms import BODY_TIMEOUT
from service.http.middleware import answer_errors, check_again, identify_and_log
from service.http.probes import READINESS
from service.http.rate_limits import DailyLimits
from service.http.readiness import Readiness
from service.http.request_keys import (
    ACCESS_LOG,
    AUTHENTICATOR,
    CLOCK,
    LIMITS,
    POOL,
    PUBLIC_URL,
    TIMING,
)
from service.identity.authenticator import Authenticator, TokenVerifier
from service.identity.issuers import TrustedIssuers, check_accounts, read_trust
from service.model.client import ModelClient, RetryPolicy
from service.model.errors import ModelFailure
from service.model.interface import Model
from service.model.prices import read_prices
from service.openapi.handlers import ENDPOINTS as DESCRIBED
from service.privacy.cache_purge import FORGET, CachePurge
from service.privacy.erasure import Erasure
from service.privacy.handlers import ERASURE, LEARNER_RECORDS
from service.privacy.learner_record import LearnerRecords
from service.privacy.legal_holds import LegalHolds
from service.privacy.retention import Retention
from service.privacy.retention_job import RetentionJob
from service.routes import ENDPOINTS, ROUTES
from service.setting_values import origins_of
from service.settings import Settings
from service.timing import Timing
from service.turns.control import STOP, TurnControl
from service.turns.live import LiveTurnRegistry
from service.turns.runner import TurnRunner
from service.turns.sweeper import Sweeper
from service.turns.tutor import ModelChoice, ReplyLimits, Tutor
from sql.loader import query

WORKERS = 4
MAX_BODY = 1024**2

_CALLS_PER_REPLY = 2
"""A reply, and the judgement beside it."""

log = structlog.get_logger("colloquy")


class _Basis(NamedTuple):
    """What the features stand on."""

    log: EventLog
    pool: AccountPool
    workers: Pool
    notifier: Notifier
    clock: DatabaseClock


@asynccontextmanager
async def running_app(
    settings: Settings, url: str, timing: Timing
) -> AsyncIterator[web.Application]:
    """The application with everything that it needs running, on a database that is ready.

    Args:
        url: The owner's connection URL.
        timing: The times of the components.
    """
    trust = read_trust(settings.jwt) if settings.jwt else None
    async with AsyncExitStack() as stack:
        growth, primary = LogGrowth(), Primary(url)
        basis = await _basis(stack, settings, url, growth, primary)
        verifier = await _verifier(stack, basis, trust) if trust else None
        model, choice = make_model(settings)
        stack.push_async_callback(model.close)
        app = _application(settings)
        _add_shared(app, basis, settings, verifier)
        app[TIMING] = timing
        _add_conversations(app, basis, settings, model, choice)
        _add_audit(app, basis, settings)
        app[FIGURES] = FiguresReader(basis.pool)
        sweeper = Sweeper(basis.workers, (app[DIALOGUES], app[EVALUATIONS]), timing.sweep)
        await sweeper.try_sweep()  # who was in the middle of a turn when we died can go on
        stack.push_async_callback(_drain, app, 0)
        for work in (
            _warm_up(model),
            sweeper.run(),
            ProjectionRunner(basis.workers, basis.notifier, growth).run(),
            RetentionJob(
                basis.workers,
                Retention(basis.log, basis.pool, basis.notifier),
                timing.first_retention,
            ).run(),
            AnalystSessions(basis.workers).run(),
            basis.clock.run(basis.workers),
        ):
            await stack.enter_async_context(_background(work))
        if settings.seal_seconds:
            from service.audit.sealing import make_sealer

            sealer = make_sealer(settings, url, primary)
            await stack.enter_async_context(_background(sealer.run()))
        yield app


async def _basis(
    stack: AsyncExitStack, settings: Settings, url: str, growth: LogGrowth, primary: Primary
) -> _Basis:
    address = f"{settings.host}:{settings.port}"
    opened = await stack.enter_async_context(running_log(url, growth, primary, address))
    log, pool, notifier = opened
    workers = await open_pool(url, "colloquy_worker", WORKERS, growth, primary)
    stack.push_async_callback(close_pool, workers)
    return _Basis(log, pool, workers, notifier, await database_clock(workers))


def _add_shared(
    app: web.Application, basis: _Basis, settings: Settings, verifier: TokenVerifier | None
) -> None:
    app[POOL] = basis.pool
    app[AUTHENTICATOR] = Authenticator(basis.workers, verifier)
    app[CLOCK] = basis.clock
    app[LIMITS] = _daily_limits(settings)
    app[ACCESS_LOG] = AccessLog(basis.log)
    app[READINESS] = Readiness(basis.workers, basis.log)
    if settings.public_url:
        app[PUBLIC_URL] = URL(settings.public_url)


def _add_conversations(
    app: web.Application, basis: _Basis, settings: Settings, model: Model, choice: ModelChoice
) -> None:
    """Experiences, the talk about them, its evaluation, and what is done to protect it."""
    log, pool, notifier, limits = basis.log, basis.pool, basis.notifier, _reply_limits(settings)
    timing = app[TIMING]
    owners = TurnOwnership(
        basis.workers,
        notifier.owner,
        basis.clock.now,
        timing.owner_check,
        settled=lambda: notifier.settled,
    )
    dialogues, experiences, live = (
        DialogueRepository(log, owners),
        Experiences(log, pool),
        LiveTurnRegistry(timing.retained),
    )
    asker = ModelClient(model, read_prices(settings.prices), _retry_policy(settings))
    control = TurnControl(dialogues, notifier, live, timing.stop)
    notifier.subscribe(STOP, control.on_stop_message)
    tutor = Tutor(asker, experiences, choice, limits)
    evaluator = Evaluator(
        pool=pool, experiences=experiences, asker=asker, models=choice, budget=limits.budget
    )
    app[EXPERIENCES], app[DIALOGUES], app[TURN_CONTROL] = experiences, dialogues, control
    app[TURNS] = TurnRunner(dialogues, owners, tutor, live, control, choice.reply, limits, timing)
    app[EVALUATIONS] = EvaluationRunner(
        events=log,
        pool=pool,
        notifier=notifier,
        owners=owners,
        evaluator=evaluator,
        model=choice.evaluation,
        limits=limits,
    )
    cache_purge = CachePurge(dialogues, live, notifier)
    notifier.subscribe(FORGET, cache_purge.on_message)
    app[ERASURE] = Erasure(log, pool, dialogues, control, cache_purge, notifier, timing.erasure)
    app[LEARNER_RECORDS] = LearnerRecords(log, pool, LegalHolds(log, pool))


def _add_audit(app: web.Application, basis: _Basis, settings: Settings) -> None:
    app[EVENT_SEARCH] = EventSearch(basis.pool)
    app[REPLAYS] = Replays(basis.pool)
    required = settings.audit_reason == "required"
    app[AUDIT] = AuditService(basis.log, basis.pool, reason_required=required)
    app[LIVE_TAIL] = LiveTail(app[EVENT_SEARCH], basis.notifier, app[TIMING].keep_alive)


async def _verifier(stack: AsyncExitStack, basis: _Basis, trust: TrustedIssuers) -> TokenVerifier:
    from service.identity.jwt import running_verifier

    accounts = {row["account_id"] for row in await basis.workers.fetch(query("list_accounts"))}
    check_accounts(trust, accounts)
    return await stack.enter_async_context(running_verifier(trust, basis.clock.now))


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


def _retry_policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(attempts=settings.max_attempts, first_pause=settings.retry_pause)


def _daily_limits(settings: Settings) -> DailyLimits:
    return DailyLimits(
        create=settings.max_creates,
        message=settings.max_messages,
        evaluation=settings.max_evaluations,
        feedback=settings.max_feedback,
    )


def _reply_limits(settings: Settings) -> ReplyLimits:
    return ReplyLimits(
        budget=settings.reply_timeout,
        max_tokens=settings.max_reply_tokens,
        context_tokens=settings.max_context_tokens if uses_provider(settings) else None,
        max_concurrent=settings.max_replies,
    )


def _application(settings: Settings) -> web.Application:
    origins = origins_of(settings.cors_origins)
    app = web.Application(
        middlewares=[identify_and_log, cross_origin(origins), answer_errors, check_again],
        client_max_size=MAX_BODY,
    )
    app[BODY_TIMEOUT] = settings.body_timeout
    app[DESCRIBED] = ENDPOINTS
    app.add_routes(ROUTES)
    app.on_response_prepare.append(response_headers(origins))

    async def drain(_app: web.Application) -> None:
        app[LIVE_TAIL].close()
        await _drain(app, settings.stop_timeout)

    app.on_shutdown.append(drain)
    return app


async def _drain(app: web.Application, grace: float) -> None:
    """Lets what is under way end, and records the rest."""
    await asyncio.gather(app[TURNS].drain(grace), app[EVALUATIONS].drain(grace))
    await app[TURN_CONTROL].close()


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
