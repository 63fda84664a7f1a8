"""Which server is the primary, as far as this process knows.

A server may freeze, be succeeded by a standby, and wake up as if nothing had happened. Sessions
there would then answer from a log that has ended, and take appends that nobody will see. So a
process that serves proves twice a second that the server still answers. While the last proof is
older than `LEASE`, no answer of a session counts until a new session, opened as if it were the
first, has shown that the primary is still the same. If it is not, all sessions are closed; if it
cannot be found, all but the one that is asked for signs of life, as long as that one answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakSet

import asyncpg
import structlog

from eventstore.connection_hosts import hosts
from eventstore.database_errors import DATABASE_ERRORS
from eventstore.sessions import CONNECT_TIMEOUT, NotPrimary, ServerIdentity, Session, open_session

LEASE = 1.5
"""Seconds for which a proof holds: fewer than a failover takes to see that a server is gone."""

_SILENCE = 1.0
_SILENT_AT_FIRST = 0.25
_HOST_TIMEOUT = 3.0
"""Seconds for which one of several hosts is waited for; the others are asked at the same time."""

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
        self._asked: Session | None = None
        self._look: asyncio.Task[None] | None = None

    @property
    def has_standbys(self) -> bool:
        """Whether the URL names several hosts."""
        return len(self._hosts) > 1

    async def open(self, opener: Opener[S]) -> S:
        """A session on the primary.

        Raises:
            NotPrimary: The server that was found has been succeeded by another.
        """
        session = await (self._find(opener) if self._is_proved() else self._compare(opener))
        self._admit(session)
        session.watch = self
        self._sessions.add(session)
        return session

    async def prove(self, session: Session) -> None:
        """Asks the session's server for a sign of life; from here on, answers need one.

        Where it was silent, or the last proof is too old, its answer is a proof only if the
        primary was also looked for and found; if that failed, the session lives on without.
        """
        began, self._asked = _now(), session
        asking = asyncio.ensure_future(session.identify_server())
        try:
            done, _ = await asyncio.wait((asking,), timeout=_SILENCE)
            if not done:
                log.warning("database_silent", seconds=_SILENCE)
            if not await self._is_settled(was_silent=not done):
                began -= LEASE
            async with asyncio.timeout(CONNECT_TIMEOUT):  # it is only this session then
                standing = await asking
            if standing != self._known:
                self.end_sessions()
                raise NotPrimary("the server was promoted or demoted")
        finally:
            asking.cancel()
        self._proved = max(began, self._proved or began)

    async def settled(self) -> None:
        """Returns when it is known which server is the primary; sessions elsewhere are closed."""
        if self._proved is not None and not self._is_proved():
            await self.look()

    async def look(self) -> None:
        """Finds out anew which server is the primary; who asks meanwhile gets the same answer.

        A server that has no place for another session is alive, and counts as the same.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_anew(), name="looking for the primary")
            self._look.add_done_callback(lambda look: look.cancelled() or look.exception())
        await asyncio.shield(self._look)

    def end_sessions(self, but: Session | None = None) -> None:
        """Closes all sessions but this one at once; what they are in the middle of fails."""
        for session in list(self._sessions):
            if session is not but:
                session.terminate()
                self._sessions.discard(session)

    async def close(self) -> None:
        """Nobody asks for signs of life any more, and answers need none."""
        self._proved = None
        if self._look:
            self._look.cancel()
            await asyncio.wait((self._look,))

    async def _is_settled(self, was_silent: bool) -> bool:
        try:
            await (self.look() if was_silent else self.settled())
        except DATABASE_ERRORS:
            return False
        return True

    async def _look_anew(self) -> None:
        try:
            session = await self._compare(_plain_session)
        except asyncpg.TooManyConnectionsError:  # then it is alive
            return
        except DATABASE_ERRORS as error:
            log.warning("primary_not_found", error=repr(error))
            if not self._is_proved():
                self.end_sessions(but=self._asked)
            raise
        session.terminate()

    async def _compare(self, opener: Opener[S]) -> S:
        """A session on the newest primary of all hosts; that it answers is a proof, if one counts.

        To find it may have taken long, where others were silent, so it is asked again; where it
        was itself silent at first, a standby that said no then may have been promoted since.
        """
        session = await self._find(opener, among_all=True)
        if self.has_standbys and session.waited > _SILENT_AT_FIRST:
            session.terminate()
            session = await self._find(opener, among_all=True)
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
        """A timeline that is older than one seen before has ended: what is on it is not the log."""
        known, found = self._known, session.server
        if known and found.system == known.system and _age(found) < _age(known):
            session.terminate()
            raise NotPrimary(f"the server is on timeline {found.timeline}, not {known.timeline}")
        if known and found != known:
            log.warning("primary_changed", timeline=found.timeline)
            self.end_sessions()
        self._known = found

    async def _find(self, opener: Opener[S], *, among_all: bool = False) -> S:
        """A session on the newest primary of all hosts, or on any that is known to be that."""
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
                if not among_all and opened and opened[-1].server == self._known:
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


async def _discard(attempts: set["asyncio.Task[S]"], but: Session | None) -> None:
    for attempt in attempts:
        attempt.cancel()
    for opened in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(opened, Session) and opened is not but:
            opened.terminate()


async def _plain_session(url: str) -> Session:
    return await open_session(url, Session, {})


def _age(standing: ServerIdentity) -> int:
    return standing.timeline or 0


def _now() -> float:
    return asyncio.get_running_loop().time()
