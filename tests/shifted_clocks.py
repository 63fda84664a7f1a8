"""Processes whose clock is not that of this machine (`faketime`)."""

from pathlib import Path


def shifted_by(file: Path) -> dict[str, str]:
    """The environment of a process whose clock follows a file.

    Args:
        file: Holds how far the clock is ahead, as "+3600" seconds or "-2d"; it may change.

    Raises:
        RuntimeError: `faketime` is not installed.
    """
    found = sorted(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))
    if not found:
        raise RuntimeError("needs faketime, to give processes other clocks: install it")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
