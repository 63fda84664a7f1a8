"""Removes an erased learner's texts from the caches of all processes.

A process remembers dialogues and, for a minute, the turns that are over. A message tells it to drop
them. Where the message gets lost, neither gives away a word: the erasure has moved the dialogue on,
so it is read again, and a turn that is over is checked against the log before it is shown.
"""

import msgspec

from eventstore.notifier import Notifier
from service.dialogue.repository import DialogueRepository
from service.turns.live import LiveTurnRegistry

FORGET = "forget"
"""The topic under which processes tell each other whom to forget."""


class EvictionMessage(msgspec.Struct, frozen=True):
    """Tells a process to remove a learner from its caches."""

    account_id: int
    user_id: int


class CachePurge:
    """Removes learners from caches.

    Args:
        dialogues: Those that this process remembers.
        live: The turns that it remembers.
        notifier: Carries the word to other processes.
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
        whom = msgspec.json.decode(message, type=EvictionMessage)
        self._dialogues.evict_learner(whom.account_id, whom.user_id)
        self._live.evict_learner(whom.account_id, whom.user_id)
