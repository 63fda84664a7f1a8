"""What a verification found wrong."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it must be.

    Attributes:
        position: Of the event, or of the first one that it can be about; None where it is about
            none in particular.
        problem: One sentence.
    """

    position: int | None
    problem: str


class Findings:
    """Keeps the first finding by position; of several at one position the one that came first."""

    def __init__(self) -> None:
        self._first: Finding | None = None
        self._position = 0
        self._general: Finding | None = None
        self.number = 0

    @property
    def first(self) -> Finding | None:
        """The first one; one of no position only where there is no other."""
        return self._first or self._general

    def add(self, position: int, problem: str) -> None:
        """Something is wrong at a position."""
        self.number += 1
        if self._first is None or position < self._position:
            self._first, self._position = Finding(position, problem), position

    def add_range(self, after: int, upto: int, problem: str) -> None:
        """Something is wrong in a range; nothing new if what is found already is the reason."""
        if self._first is None or not after < self._position <= upto:
            self.add(after + 1, problem)

    def add_general(self, problem: str) -> None:
        """Something is wrong that is about no position in particular."""
        self.number += 1
        self._general = self._general or Finding(None, problem)

    def is_before(self, position: int) -> bool:
        """Whether there is a finding before a position."""
        return self._first is not None and self._position < position
