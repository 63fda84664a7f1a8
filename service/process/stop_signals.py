"""SIGTERM and SIGINT, which ask a process to stop."""

import asyncio
import signal

_STOPS = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for number in _STOPS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in _STOPS:
        loop.add_signal_handler(number, on_signal)
    return stop
