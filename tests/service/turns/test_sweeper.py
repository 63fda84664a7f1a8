"""The sweeper takes over what nobody will end; a turn that it cannot read stops nothing else."""

from eventstore.running_log import running_log
from service.dialogue.repository import DialogueKey
from tests.eventstore.building import Learner, append, append_steps, dialogue, messages
from tests.running import eventually, running_service
from tests.service.histories import types_of


async def test_a_turn_in_a_stream_that_is_no_dialogue_stops_nothing(demo_url: str) -> None:
    """Such as an import by hand might leave: the service starts, and takes over the others."""
    learner = Learner()
    key = DialogueKey.of_stream(1, learner.stream)
    async with running_log(demo_url) as (log, _pool, _notifier):
        await append(log, "s", *messages(1))
        await append(log, "evaluation-x", *messages(1))
        await append_steps(log, [*dialogue(learner), learner.says()])
    async with running_service(demo_url) as service:

        async def answered() -> bool:
            history = [e for e in await service.history() if e.stream == key.stream]
            return types_of(history)[-1] == "reply_completed"

        await eventually(answered)
        status, _ = await service.call("GET", "/readyz", user=None)
        assert status == 200
