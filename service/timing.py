"""Seconds that the service's components wait: no settings, but arguments, which tests change."""

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds.

    Attributes:
        assessment: A finished reply waits for its assessment; a later one is recorded by itself.
        owner_check: Before a process that looks gone is looked for again.
        stop: The owner of a turn has to stop it, before others end it in its place.
        sweep: Between two looks for abandoned turns.
        retained: A turn that is over can be resumed by its subscribers.
        keep_alive: Of silence in a stream, before a comment is sent; and between two checks that an
            auditor may still read one.
        write: A client may take nothing, before its connection is cut.
        erasure: An erasure waits for a view that is being rebuilt.
        first_retention: From the start to the first run of the retention rules.
    """

    assessment: float = 1.0
    owner_check: float = 2.0
    stop: float = 3.0
    sweep: float = 2.0
    retained: float = 60.0
    keep_alive: float = 15.0
    write: float = 30.0
    erasure: float = 4.0
    first_retention: float = 60.0


USUAL = Timing()
