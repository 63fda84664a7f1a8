"""The composition root: what the service is made of, put together in one place."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import structlog
from aiohttp import web

from eventstore.connections import Pool, close_pool, open_pool
from eventstore.group_commit import GroupCommit
from eventstore.link import Link
from eventstore.log import EventLog
from projections.runner import Runner
from service.dialogues import Dialogues
from service.experiences import Experiences
from service.handlers import SERVICES, Services
from service.middlewares import answer_errors, identify_and_log
from service.model.errors import ModelFailure
from service.model.interface import Model
from service.routes import ROUTES
from service.settings import Settings
from service.sweeper import Sweeper
from service.turns import TurnLimits, Turns

POOL_SIZE = 16
MAX_BODY = 1024**2

log = structlog.get_logger("colloquy")


@asynccontextmanager
async def running_app(settings: Settings, url: str) -> AsyncIterator[web.Application]:
    """The application with everything that it needs running, on a database that is ready.

    Args:
        url: The owner's connection URL.
    """
    async with AsyncExitStack() as stack:
        events, pool, link = await stack.enter_async_context(running_log(url))
        model = make_model(settings)
        stack.push_async_callback(model.close)
        dialogues = Dialogues(events, pool, link.owner)
        limits = TurnLimits(settings.reply_timeout, settings.max_reply_tokens)
        turns = Turns(dialogues, Experiences(events, pool), model, limits)
        sweeper = Sweeper(pool, dialogues)
        await sweeper.try_sweep()  # who was in the middle of a turn when we died can go on
        stack.push_async_callback(turns.drain, 0)
        for work in (_warm_up(model), sweeper.run(), Runner(pool, link).run()):
            await stack.enter_async_context(_background(work))
        services = Services(
            pool=pool,
            dialogues=dialogues,
            turns=turns,
            model=model.name,
            owner=link.owner,
            budget=timedelta(seconds=settings.reply_timeout),
        )
        yield _application(services, settings.stop_timeout)


@asynccontextmanager
async def running_log(url: str) -> AsyncIterator[tuple[EventLog, Pool, Link]]:
    """The log, ready to append and read, with the pool and the link that it uses."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(url, "colloquy_service", POOL_SIZE)
        stack.push_async_callback(close_pool, pool)
        link = Link(url)
        await link.start()
        stack.push_async_callback(link.close)
        commits = GroupCommit(url, link.ring)
        commits.start()
        stack.push_async_callback(commits.close)
        yield EventLog(pool, commits, link), pool, link


def make_model(settings: Settings) -> Model:
    """The model that the settings name: Anthropic's, or without key and URL the practice tutor."""
    if settings.anthropic_api_key or settings.anthropic_base_url:
        from service.model.anthropic_provider import AnthropicModel

        return AnthropicModel(
            settings.model,
            settings.anthropic_api_key,
            settings.anthropic_base_url,
            settings.stall_timeout,
        )
    from service.model.practice_tutor import PracticeTutor

    return PracticeTutor()


def _application(services: Services, stop_timeout: float) -> web.Application:
    app = web.Application(middlewares=[identify_and_log, answer_errors], client_max_size=MAX_BODY)
    app[SERVICES] = services
    app.add_routes(ROUTES)

    async def drain(_app: web.Application) -> None:
        await services.turns.drain(stop_timeout)

    app.on_shutdown.append(drain)
    return app


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
