"""Has every process forget what a learner who was erased had said.

A process remembers dialogues and, for a minute, the turns that are over. A letter tells it to drop
them. Where the letter gets lost, neither gives away a word: the erasure has moved the dialogue on,
so it is read again, and a turn that is over is checked against the log before it is shown.
"""

import msgspec

from eventstore.notifier import Notifier
from service.dialogue.repository import Dialogues
from service.turns.live import LiveTurns

FORGET = "forget"
"""The topic under which processes tell each other whom to forget."""


class ForgetLetter(msgspec.Struct, frozen=True):
    """Tells a process to forget a learner."""

    account_id: int
    user_id: int


class Forgetting:
    """Forgets learners.

    Args:
        dialogues: Those that this process remembers.
        live: The turns that it remembers.
        notifier: Carries the word to other processes.
    """

    def __init__(self, dialogues: Dialogues, live: LiveTurns, notifier: Notifier) -> None:
        self._dialogues = dialogues
        self._live = live
        self._notifier = notifier

    def tell(self, account_id: int, user_id: int) -> None:
        """Has every process forget a learner, this one at once."""
        letter = msgspec.json.encode(ForgetLetter(account_id, user_id)).decode()
        self.hear(letter)
        self._notifier.send(FORGET, letter)

    def hear(self, letter: str) -> None:
        """Takes a letter that came over the notifier."""
        whom = msgspec.json.decode(letter, type=ForgetLetter)
        self._dialogues.forget(whom.account_id, whom.user_id)
        self._live.forget(whom.account_id, whom.user_id)
