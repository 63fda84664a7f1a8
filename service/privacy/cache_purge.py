"""Removes an erased learner's texts from the caches of all processes.

A process caches dialogues and, for a minute, finished turns. A message tells it to drop them. A
lost message reveals no text: the erasure appends to the dialogue, so a cached dialogue is read
again, and a finished turn is checked against the log before it is sent.
"""

import msgspec

from eventstore.notifier import Notifier
from service.dialogue.repository import DialogueRepository
from service.turns.live import LiveTurnRegistry

FORGET = "forget"
"""The topic of the messages between processes."""


class EvictionMessage(msgspec.Struct, frozen=True):
    """Tells a process to remove a learner from its caches."""

    account_id: int
    user_id: int


class CachePurge:
    """Removes learners from caches.

    Args:
        dialogues: The dialogues that this process caches.
        live: The turns that it caches.
        notifier: Sends messages to other processes.
    """

    def __init__(
        self, dialogues: DialogueRepository, live: LiveTurnRegistry, notifier: Notifier
    ) -> None:
        self._dialogues = dialogues
        self._live = live
        self._notifier = notifier

    def broadcast(self, account_id: int, user_id: int) -> None:
        """Removes a learner from the caches of all processes, from this one's at once."""
        message = msgspec.json.encode(EvictionMessage(account_id, user_id)).decode()
        self.on_message(message)
        self._notifier.send(FORGET, message)

    def on_message(self, message: str) -> None:
        """Handles a message of another process."""
        eviction = msgspec.json.decode(message, type=EvictionMessage)
        self._dialogues.evict_learner(eviction.account_id, eviction.user_id)
        self._live.evict_learner(eviction.account_id, eviction.user_id)
