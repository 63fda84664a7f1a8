"""The primary server, as far as this process knows.

A server may freeze, be succeeded by a standby, and resume. Its sessions would then read from a
superseded log, and their appends would be lost. So a serving process proves twice a second that
the server still answers. While the last proof is older than `LEASE`, a session's answers wait
until a search over new connections has shown that the primary is the same. If it is another
server, all sessions are closed. If none is found, all sessions but the proving one are closed,
which stays open as long as it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakSet

import asyncpg
import structlog

from eventstore.connection_urls import hosts
from eventstore.database_errors import DATABASE_ERRORS
from eventstore.sessions import CONNECT_TIMEOUT, NotPrimary, ServerIdentity, Session, open_session

LEASE = 1.5
"""Seconds for which a proof is valid: fewer than a failover needs to detect a dead server."""

_SILENCE = 1.0
_SILENT_AT_FIRST = 0.25
_HOST_TIMEOUT = 3.0
"""Seconds to connect to one of several hosts; all are tried at the same time."""

S = TypeVar("S", bound=Session)
Opener = Callable[[str], Awaitable[S]]
"""Opens a session on the server of a URL with one host."""

log = structlog.get_logger("colloquy.database")


class Primary:
    """The primary, and this process's sessions there.

    Args:
        url: The owner's connection URL; it may name several hosts.
    """

    def __init__(self, url: str) -> None:
        self._hosts = hosts(url)
        self._known: ServerIdentity | None = None
        self._sessions: WeakSet[Session] = WeakSet()
        self._proved: float | None = None
        self._proving: Session | None = None
        self._search: asyncio.Task[None] | None = None

    @property
    def has_standbys(self) -> bool:
        """Whether the URL names several hosts."""
        return len(self._hosts) > 1

    async def open(self, opener: Opener[S]) -> S:
        """A session on the primary.

        Raises:
            NotPrimary: The only reachable server has been succeeded by another.
        """
        session = await (self._find(opener) if self._is_proved() else self._compare(opener))
        self._admit(session)
        session.watch = self
        self._sessions.add(session)
        return session

    async def prove(self, session: Session) -> None:
        """Proves that the session's server still answers; from then on, answers need a proof.

        After a silence, or if the last proof is too old, the answer is a proof only if a search
        also finds this primary; if the search fails, the session stays open without a proof.
        """
        began, self._proving = _now(), session
        answer = asyncio.ensure_future(session.identify_server())
        try:
            done, _ = await asyncio.wait((answer,), timeout=_SILENCE)
            if not done:
                log.warning("database_silent", seconds=_SILENCE)
            if not await self._is_confirmed(was_silent=not done):
                began -= LEASE
            async with asyncio.timeout(
                CONNECT_TIMEOUT
            ):  # after a silence, only this session may be broken
                server = await answer
            if server != self._known:
                self.end_sessions()
                raise NotPrimary("the server was promoted or demoted")
        finally:
            answer.cancel()
        self._proved = max(began, self._proved or began)

    async def confirm(self) -> None:
        """Waits until the primary is known; closes sessions on other servers."""
        if self._proved is not None and not self._is_proved():
            await self.search()

    async def search(self) -> None:
        """Searches for the primary; concurrent callers share one search.

        A server that refuses further sessions is alive, and counts as the same server.
        """
        if self._search is None or self._search.done():
            self._search = asyncio.create_task(self._run_search(), name="search for the primary")
            self._search.add_done_callback(lambda search: search.cancelled() or search.exception())
        await asyncio.shield(self._search)

    def end_sessions(self, keep: Session | None = None) -> None:
        """Closes all sessions but `keep` immediately; their statements fail."""
        for session in list(self._sessions):
            if session is not keep:
                session.terminate()
                self._sessions.discard(session)

    async def close(self) -> None:
        """Ends the search; answers no longer need a proof."""
        self._proved = None
        if self._search:
            self._search.cancel()
            await asyncio.wait((self._search,))

    async def _is_confirmed(self, was_silent: bool) -> bool:
        try:
            await (self.search() if was_silent else self.confirm())
        except DATABASE_ERRORS:
            return False
        return True

    async def _run_search(self) -> None:
        try:
            session = await self._compare(_plain_session)
        except asyncpg.TooManyConnectionsError:  # then it is alive
            return
        except DATABASE_ERRORS as error:
            log.warning("primary_not_found", error=repr(error))
            if not self._is_proved():
                self.end_sessions(keep=self._proving)
            raise
        session.terminate()

    async def _compare(self, opener: Opener[S]) -> S:
        """A session on the newest primary of all hosts; its answer is a proof if one is needed.

        The server is asked again, since waiting for silent hosts may have taken long. If the
        primary itself answered late, a standby may have been promoted since, so all hosts are
        asked again.
        """
        session = await self._find(opener, all_hosts=True)
        if self.has_standbys and session.waited > _SILENT_AT_FIRST:
            session.terminate()
            session = await self._find(opener, all_hosts=True)
        if self._proved is not None:
            began = _now()
            try:
                session.server = await session.identify_server()
            except BaseException:
                session.terminate()
                raise
            self._admit(session)
            self._proved = max(began, self._proved or began)
        return session

    def _is_proved(self) -> bool:
        return self._proved is not None and _now() - self._proved <= LEASE

    def _admit(self, session: Session) -> None:
        """Accepts a session's server; a timeline older than the known one has been superseded."""
        known, server = self._known, session.server
        if known and server.system == known.system and _age(server) < _age(known):
            session.terminate()
            raise NotPrimary(f"the server is on timeline {server.timeline}, not {known.timeline}")
        if known and server != known:
            log.warning("primary_changed", timeline=server.timeline)
            self.end_sessions()
        self._known = server

    async def _find(self, opener: Opener[S], *, all_hosts: bool = False) -> S:
        """A session on the newest primary of all hosts, or on the first that is the known one."""
        if not self.has_standbys:
            return await _within(CONNECT_TIMEOUT, opener(self._hosts[0]))
        attempts = {
            asyncio.create_task(_within(_HOST_TIMEOUT, opener(host))) for host in self._hosts
        }
        opened: list[S] = []
        try:
            for attempt in asyncio.as_completed(attempts):
                try:
                    opened.append(await attempt)
                except DATABASE_ERRORS as error:
                    reason = error
                if not all_hosts and opened and opened[-1].server == self._known:
                    break
        except BaseException:
            opened.clear()
            raise
        finally:
            newest = max(opened, key=lambda session: _age(session.server), default=None)
            await _discard(attempts, newest)
        if newest is None:
            raise reason
        return newest


async def _within(seconds: float, opening: Awaitable[S]) -> S:
    began = _now()
    async with asyncio.timeout(seconds):
        session = await opening
    session.waited = _now() - began
    return session


async def _discard(attempts: set["asyncio.Task[S]"], keep: Session | None) -> None:
    for attempt in attempts:
        attempt.cancel()
    for opened in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(opened, Session) and opened is not keep:
            opened.terminate()


async def _plain_session(url: str) -> Session:
    return await open_session(url, Session, {})


def _age(server: ServerIdentity) -> int:
    return server.timeline or 0


def _now() -> float:
    return asyncio.get_running_loop().time()
