"""Findings of a verification."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """A problem in a log.

    Attributes:
        position: Of the event, or of the first event that may be concerned; None for a problem
            without a position.
        problem: One sentence.
    """

    position: int | None
    problem: str


class Findings:
    """Keeps the finding with the lowest position; of several there, the one added first."""

    def __init__(self) -> None:
        self._first: Finding | None = None
        self._position = 0
        self._general: Finding | None = None
        self.number = 0

    @property
    def first(self) -> Finding | None:
        """The first finding; one without a position only if there is no other."""
        return self._first or self._general

    def add(self, position: int, problem: str) -> None:
        """Adds a problem at a position."""
        self.number += 1
        if self._first is None or position < self._position:
            self._first, self._position = Finding(position, problem), position

    def add_range(self, after: int, upto: int, problem: str) -> None:
        """Adds a problem in a range, unless an earlier finding there explains it."""
        if self._first is None or not after < self._position <= upto:
            self.add(after + 1, problem)

    def add_general(self, problem: str) -> None:
        """Adds a problem without a position."""
        self.number += 1
        self._general = self._general or Finding(None, problem)

    def is_before(self, position: int) -> bool:
        """Whether there is a finding before a position."""
        return self._first is not None and self._position < position
