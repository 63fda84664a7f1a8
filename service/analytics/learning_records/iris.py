"""IRIs in learning records, and the ids that are derived from them.

They are names and need not resolve. The same base and log always give the same names, so an event
always gives the same record.
"""

from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec


class Names(msgspec.Struct, frozen=True):
    """The IRIs of one account.

    Attributes:
        base: Scheme and host, without a final slash.
    """

    base: str
    account_id: int

    @property
    def account(self) -> str:
        """The institution; with a user's id it identifies a learner."""
        return f"{self.base}/accounts/{self.account_id}"

    def user(self, user_id: int) -> str:
        """A user, by their id."""
        return f"{self.account}/users/{user_id}"

    def course(self, course_id: int) -> str:
        """A course."""
        return f"{self.account}/courses/{course_id}"

    def experience(self, course_id: int, experience_id: int) -> str:
        """An AI experience of a course."""
        return f"{self.course(course_id)}/experiences/{experience_id}"

    def conversation(self, conversation_id: int) -> str:
        """A conversation; its id is unique in the account."""
        return f"{self.account}/conversations/{conversation_id}"

    def message(self, conversation_id: int, message_id: str) -> str:
        """A message of a conversation."""
        return f"{self.conversation(conversation_id)}/messages/{message_id}"

    def feedback(self, conversation_id: int, feedback_id: str) -> str:
        """A vote on a message."""
        return f"{self.conversation(conversation_id)}/feedback/{feedback_id}"

    def registration(self, conversation_id: int) -> UUID:
        """The id of a conversation as a learner's attempt."""
        return uuid5(NAMESPACE_URL, self.conversation(conversation_id))

    def extension(self, name: str) -> str:
        """A property that is in no published vocabulary."""
        return f"{self.base}/xapi/extensions/{name}"
