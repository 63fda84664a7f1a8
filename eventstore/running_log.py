"""Opens a log with its connections."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from eventstore.connections import AccountPool, LogGrowth, close_pool, open_pool
from eventstore.group_commit import GroupCommit
from eventstore.log import EventLog
from eventstore.notifier import POLL, Notifier
from eventstore.primary import Primary

POOL_SIZE = 16


@asynccontextmanager
async def running_log(
    url: str,
    growth: LogGrowth | None = None,
    primary: Primary | None = None,
    address: str | None = None,
    *,
    poll: float = POLL,
) -> AsyncIterator[tuple[EventLog, AccountPool, Notifier]]:
    """Opens the log for appends and reads; yields it with its pool and notifier.

    Args:
        growth: Shared with the process's other pools; one of its own if none is given.
        primary: The same of its other connections.
        address: Where the process serves, if it does.
        poll: Of the notifier.
    """
    growth, primary = growth or LogGrowth(), primary or Primary(url)
    async with AsyncExitStack() as stack:
        pool = await open_pool(url, "colloquy_service", POOL_SIZE, growth, primary)
        stack.push_async_callback(close_pool, pool)
        notifier = Notifier(url, primary, address, poll=poll)
        await notifier.start()
        stack.push_async_callback(notifier.close)
        commits = GroupCommit(url, notifier.notify, growth=growth, primary=primary)
        commits.start()
        stack.push_async_callback(commits.close)
        accounts = AccountPool(pool)
        yield EventLog(accounts, commits), accounts, notifier
