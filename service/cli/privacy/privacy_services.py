"""The components of the service that the commands for data protection use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import msgspec

from eventstore.clock import database_clock
from eventstore.connections import close_pool, open_pool
from eventstore.privacy_events import MAX_REASON
from eventstore.running_log import running_log
from service.dialogue.ownership import TurnOwnership
from service.dialogue.repository import DialogueRepository
from service.escaping import is_blank
from service.privacy.cache_purge import CachePurge
from service.privacy.erasure import Erasure
from service.privacy.learner_record import LearnerRecords
from service.privacy.legal_holds import LegalHolds
from service.privacy.retention import Retention
from service.timing import USUAL
from service.turns.control import TurnControl
from service.turns.live import LiveTurnRegistry

_WORKERS = 2


class PrivacyServices(msgspec.Struct, frozen=True):
    """The components."""

    erasure: Erasure
    holds: LegalHolds
    retention: Retention
    records: LearnerRecords


@asynccontextmanager
async def open_privacy_services(url: str) -> AsyncIterator[PrivacyServices]:
    """The components on a ready database.

    Args:
        url: The owner's connection URL.
    """
    async with running_log(url) as (log, pool, notifier):
        workers = await open_pool(url, "colloquy_worker", _WORKERS)
        try:
            timing, clock = USUAL, await database_clock(workers)
            owners = TurnOwnership(workers, notifier.owner, clock.now, timing.owner_check)
            dialogues, live = DialogueRepository(log, owners), LiveTurnRegistry(timing.retained)
            control = TurnControl(dialogues, notifier, live, timing.stop)
            cache_purge = CachePurge(dialogues, live, notifier)
            holds = LegalHolds(log, pool)
            yield PrivacyServices(
                Erasure(log, pool, dialogues, control, cache_purge, notifier, timing.erasure),
                holds,
                Retention(log, pool, notifier),
                LearnerRecords(log, pool, holds),
            )
            await notifier.flush()
        finally:
            await close_pool(workers)


def read_reason(_context: click.Context, parameter: click.Parameter, text: str) -> str:
    """The reason without spaces around it; a usage error if it cannot be stored."""
    text = text.strip()
    if is_blank(text) or "\0" in text or len(text) > MAX_REASON:
        raise click.BadParameter(
            f"must be 1 to {MAX_REASON} characters, one of them visible", param=parameter
        )
    return text


with_reason = click.option(
    "--reason",
    required=True,
    callback=read_reason,
    help="Why; it is recorded for ever, so name nobody.",
)
