"""All that auditors read with, put together for the API and for the commands."""

import msgspec

from eventstore.connections import AccountPool
from eventstore.link import Link
from eventstore.log import EventLog
from service.audit.reading import AuditedLog
from service.audit.reads import AuditReads
from service.audit.replays import Replays
from service.audit.tails import Tails


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """The auditors' part of the service.

    Attributes:
        log: Finds events.
        replays: Shows conversations as they were.
        reads: Records who reads.
        tails: Follows the log.
    """

    log: AuditedLog
    replays: Replays
    reads: AuditReads
    tails: Tails


def make_desk(log: EventLog, pool: AccountPool, link: Link, *, reason_required: bool) -> Desk:
    """The desk on a log, with the pool and the link that it uses."""
    audited = AuditedLog(pool)
    return Desk(
        log=audited,
        replays=Replays(pool),
        reads=AuditReads(log, reason_required=reason_required),
        tails=Tails(audited, link),
    )
