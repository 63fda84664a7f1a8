"""All event types of the log.

An event type is permanent: its name ends in a version, new fields have a default, and a changed
meaning is a new version with an upcaster (`eventstore.codec`). `tests/eventstore/golden` keeps a
stored example of each.

No field holds personal text. Texts of people and models are the event's *content*, which is stored
separately; the docstring of each type says what its content is.
"""

from eventstore.dialogue_events import AnyDialogueEvent
from eventstore.evaluation_events import AnyEvaluationEvent
from eventstore.experience_events import AnyExperienceEvent
from eventstore.privacy_events import AnyPrivacyEvent

AnyEvent = AnyDialogueEvent | AnyEvaluationEvent | AnyExperienceEvent | AnyPrivacyEvent


def type_name(event: AnyEvent) -> str:
    """The event's type as stored, such as ``message_posted.v1``."""
    return str(event.__struct_config__.tag)
