import msgspec
import pytest

from eventstore.events import Usage
from service.model.interface import ChatMessage, Model, Reply, ReplyRequest, Scenario
from service.model.practice_tutor import PracticeTutor

SCENARIO = Scenario(
    title="Seasons",
    description="On an observatory.",
    facts="The axis is tilted by 23.4 degrees.",
    objectives=("Explain winter", "Compare the hemispheres"),
    pedagogical_guidance="Begin outside.",
)


async def converse(
    scenario: Scenario, turns: int, words: str = "Because it is cold."
) -> list[Reply]:
    """The tutor's first `turns` replies to a learner who always says the same."""
    tutor: Model = PracticeTutor()
    messages = [ChatMessage("user", "Let us begin.")]
    replies = []
    for _ in range(turns):
        request = ReplyRequest("practice-tutor", scenario, tuple(messages), 300, 5.0)
        replies.append(await tutor.reply(request))
        messages += [ChatMessage("assistant", replies[-1].text), ChatMessage("user", words)]
    return replies


async def test_the_opening_says_what_it_is_and_asks_the_first_question() -> None:
    (opening,) = await converse(SCENARIO, 1)
    assert "practice tutor" in opening.text
    assert "cannot judge your answers" in opening.text
    assert "“Seasons”" in opening.text
    assert "“Explain winter” What do you already know about this?" in opening.text


async def test_three_questions_an_objective_in_order_then_a_summary_then_the_end() -> None:
    texts = [reply.text for reply in await converse(SCENARIO, 9)]
    hallmarks = [
        "“Explain winter” What do you already know",
        "an example",
        "to a friend",
        "“Compare the hemispheres” What do you already know",
        "an example",
        "to a friend",
        "in two or three sentences about “Seasons”",
        "finish the conversation now",
        "finish the conversation now",
    ]
    assert [hallmark in text for hallmark, text in zip(hallmarks, texts, strict=True)] == [True] * 9


async def test_each_turn_asks_exactly_one_question() -> None:
    for reply in await converse(SCENARIO, 9):
        assert reply.text.count("?") == 1
        assert reply.text.endswith("?")
        assert len(reply.text.split()) <= 80


async def test_it_never_gives_away_facts_or_guidance() -> None:
    for reply in await converse(SCENARIO, 9):
        assert "23.4" not in reply.text
        assert SCENARIO.pedagogical_guidance not in reply.text


@pytest.mark.parametrize("objectives", [(), ("", "  ")])
async def test_without_objectives_it_asks_about_the_title(objectives: tuple[str, ...]) -> None:
    scenario = msgspec.structs.replace(SCENARIO, objectives=objectives)
    texts = [reply.text for reply in await converse(scenario, 4)]
    assert "“Seasons” What do you already know" in texts[0]
    assert "sentences about “Seasons”" in texts[3]


async def test_the_same_conversation_gets_the_same_replies() -> None:
    assert await converse(SCENARIO, 9) == await converse(SCENARIO, 9)


async def test_a_learners_question_is_not_answered() -> None:
    replies = await converse(SCENARIO, 2, words="Why is it cold? ")
    assert replies[1].text.startswith("I can only ask questions, I cannot answer them.")


async def test_braces_in_the_experience_stay_as_they_are() -> None:
    scenario = msgspec.structs.replace(SCENARIO, title="{goal} {0}", objectives=("{title} %s",))
    opening, *_, summary = await converse(scenario, 4)
    assert "“{goal} {0}”" in opening.text
    assert "“{title} %s”" in opening.text
    assert "“{goal} {0}”" in summary.text


async def test_it_names_itself_and_costs_nothing() -> None:
    (reply,) = await converse(SCENARIO, 1)
    assert reply == Reply(
        text=reply.text,
        model="practice-tutor",
        stop_reason="end_turn",
        usage=Usage(),
        provider_request_id=None,
        first_token_ms=0,
        duration_ms=0,
    )
    assert PracticeTutor.name == "practice-tutor"
    assert PracticeTutor.prompt.name == "practice_tutor.v1"


async def test_deltas_join_to_the_reply() -> None:
    tutor = PracticeTutor()
    await tutor.warm_up()
    request = ReplyRequest(
        "practice-tutor", SCENARIO, (ChatMessage("user", "Let us begin."),), 300, 5.0
    )
    deltas: list[str] = []
    reply = await tutor.reply(request, deltas.append)
    await tutor.close()
    assert "".join(deltas) == reply.text
    assert len(deltas) > 10
