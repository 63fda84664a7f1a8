import msgspec
import pytest

from eventstore.reply_records import Usage
from service.model.interface import (
    AssessmentRequest,
    ChatMessage,
    EvaluationRequest,
    Model,
    ReplyRequest,
    Request,
    Scenario,
)
from service.model.judgements import (
    Covered,
    Evaluation,
    KeyMoment,
    ObjectiveEvaluation,
    read_assessment,
    read_evaluation,
)
from service.model.practice_tutor import CANNOT_JUDGE, RULE, PracticeTutor
from service.model.response import OnDelta, Reply, StreamedResponse

SCENARIO = Scenario(
    title="Seasons",
    description="On an observatory.",
    facts="The axis is tilted by 23.4 degrees.",
    objectives=("Explain winter", "Compare the hemispheres"),
    pedagogical_guidance="Begin outside.",
)


async def answer(request: Request, on_delta: OnDelta | None = None) -> Reply:
    tutor: Model = PracticeTutor()
    response = StreamedResponse("practice-tutor", on_delta)
    await tutor.answer(request, response, 5.0)
    return response.reply()


def reply_to(scenario: Scenario, *messages: ChatMessage) -> ReplyRequest:
    return ReplyRequest(scenario=scenario, messages=messages, max_tokens=300)


START = ChatMessage("user", "Let us begin.")


async def converse(
    scenario: Scenario, turns: int, words: str = "Because it is cold."
) -> list[Reply]:
    """The tutor's first `turns` replies to a learner who repeats one message."""
    messages = [START]
    replies = []
    for _ in range(turns):
        replies.append(await answer(reply_to(scenario, *messages)))
        messages += [ChatMessage("assistant", replies[-1].text), ChatMessage("user", words)]
    return replies


async def conversation(*said: str, scenario: Scenario = SCENARIO) -> tuple[ChatMessage, ...]:
    """A conversation with the tutor up to the learner's last message."""
    messages = [START]
    for words in said:
        reply = await answer(reply_to(scenario, *messages))
        messages += [ChatMessage("assistant", reply.text), ChatMessage("user", words)]
    return tuple(messages)


async def covered(*said: str, open_objectives: tuple[int, ...] = (1, 2)) -> list[tuple[int, int]]:
    """The covered objectives after these answers, and the messages that cover them."""
    request = AssessmentRequest(
        scenario=SCENARIO,
        messages=await conversation(*said),
        open_objectives=open_objectives,
        max_tokens=300,
    )
    assessment = read_assessment((await answer(request)).text, request)
    return [(entry.objective, entry.message) for entry in assessment.covered]


async def evaluated(messages: tuple[ChatMessage, ...], scenario: Scenario = SCENARIO) -> Evaluation:
    request = EvaluationRequest(scenario=scenario, messages=messages, max_tokens=3000)
    return read_evaluation((await answer(request)).text, request)


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
    first, second = [[r.text for r in await converse(SCENARIO, 9)] for _ in range(2)]
    assert first == second


async def test_a_learners_question_is_not_answered() -> None:
    replies = await converse(SCENARIO, 2, words="Why is it cold? ")
    assert replies[1].text.startswith("I can only ask questions, I cannot answer them.")


async def test_braces_in_the_experience_stay_as_they_are() -> None:
    scenario = msgspec.structs.replace(SCENARIO, title="{goal} {0}", objectives=("{title} %s",))
    opening, *_, summary = await converse(scenario, 4)
    assert "“{goal} {0}”" in opening.text
    assert "“{title} %s”" in opening.text
    assert "“{goal} {0}”" in summary.text


async def test_it_names_itself_for_any_requested_model_and_costs_nothing() -> None:
    response = StreamedResponse("another-model")
    await PracticeTutor().answer(reply_to(SCENARIO, START), response, 5.0)
    reply = response.reply()
    assert (reply.model, reply.stop_reason, reply.usage) == ("practice-tutor", "end_turn", Usage())
    assert reply.provider_request_id is None


async def test_deltas_join_to_the_reply() -> None:
    tutor = PracticeTutor()
    await tutor.warm_up()
    deltas: list[str] = []
    reply = await answer(reply_to(SCENARIO, START), deltas.append)
    await tutor.close()
    assert "".join(deltas) == reply.text
    assert len(deltas) > 10


def test_the_prompts_of_replies_and_of_judgements_are_told_apart_and_do_not_change() -> None:
    """Auditors rely on them: other sentences need a new version of the prompt."""
    judging: list[Request] = [
        AssessmentRequest(scenario=SCENARIO, messages=(), open_objectives=(), max_tokens=1),
        EvaluationRequest(scenario=SCENARIO, messages=(), max_tokens=1),
    ]
    speaking = PracticeTutor().prompt(reply_to(SCENARIO))
    assert (speaking.name, speaking.sha256) == (
        "practice_tutor.v1",
        "10a199878d7fa8e1890eded7045029d309aa7a3a610b2af42451e07da83744c4",
    )
    for request in judging:
        version = PracticeTutor().prompt(request)
        assert (version.name, version.sha256) == (
            "practice_tutor_rule.v1",
            "2267bda2f3be8164210549964a073e255a14b7cffe60991d9f6c72759ad491f2",
        )


GOOD = "Because it is cold."


async def test_an_objective_is_covered_when_its_three_questions_are_answered() -> None:
    assert await covered(GOOD) == []
    assert await covered(GOOD, GOOD) == []
    assert await covered(GOOD, GOOD, GOOD) == [(1, 7)]
    assert await covered(*[GOOD] * 5) == [(1, 7)]
    assert await covered(*[GOOD] * 6) == [(1, 7), (2, 13)]
    assert await covered(*[GOOD] * 9) == [(1, 7), (2, 13)]


async def test_only_open_objectives_are_assessed() -> None:
    assert await covered(*[GOOD] * 6, open_objectives=(2,)) == [(2, 13)]
    assert await covered(*[GOOD] * 6, open_objectives=()) == []


@pytest.mark.parametrize(
    "poor", ["Yes.", "It is", "- … !", "Why is it cold? ", "为什么呢？", "雪山", "لماذا هو كذلك؟"]
)
async def test_two_words_or_a_question_back_answer_nothing(poor: str) -> None:
    assert await covered(poor, GOOD, GOOD) == []
    assert await covered(GOOD, GOOD, poor) == []
    assert await covered(poor, *[GOOD] * 5) == [(2, 13)]


@pytest.mark.parametrize(
    "good", ["It is cold", "Is it? I think so", "因为冷", "それは雪", "мне так кажется"]
)
async def test_three_words_are_an_answer_in_any_script(good: str) -> None:
    assert await covered(good, good, good) == [(1, 7)]


async def test_the_evaluation_tells_who_took_part_and_that_it_cannot_judge() -> None:
    said = ["One two three", "Four five six", "  Seven \n eight nine ", "Yes", GOOD]
    evaluation = await evaluated(await conversation(*said))
    assert evaluation.summary == CANNOT_JUDGE + "By its rule, 1 of 2 objectives are covered."
    assert evaluation.overall_assessment.endswith(RULE)
    assert evaluation.overall_score == 50
    sentence = (
        "of the 3 questions about this were answered with a sentence. "
        "Whether the answers are right is for the teacher to judge."
    )
    assert evaluation.learning_objectives_evaluation == (
        ObjectiveEvaluation(
            objective="Explain winter",
            met=True,
            score=100,
            explanation=f"3 {sentence}",
            met_at_turn=3,
        ),
        ObjectiveEvaluation(
            objective="Compare the hemispheres",
            met=False,
            score=33,
            explanation=f"1 {sentence}",
            met_at_turn=None,
        ),
    )
    assert evaluation.strengths == ("Answered every question about “Explain winter”.",)
    assert evaluation.areas_for_improvement == (
        "Answer every question about “Compare the hemispheres” with a sentence.",
    )
    assert evaluation.key_moments == (
        KeyMoment(
            learning_objective="Explain winter",
            evidence="Answered the last question about this: “Seven eight nine”",
            message_number=6,
        ),
    )


async def test_the_evaluation_points_at_the_message_that_the_assessment_names() -> None:
    messages = await conversation(*[GOOD] * 6)
    request = AssessmentRequest(
        scenario=SCENARIO, messages=messages, open_objectives=(1, 2), max_tokens=300
    )
    assessment = read_assessment((await answer(request)).text, request)
    evaluation = await evaluated(messages)
    assert assessment.covered == (
        Covered(objective=1, message=7),
        Covered(objective=2, message=13),
    )
    assert [moment.message_number for moment in evaluation.key_moments] == [6, 12]
    assert [e.met_at_turn for e in evaluation.learning_objectives_evaluation] == [3, 6]
    assert evaluation.overall_score == 100


async def test_a_long_answer_is_quoted_in_short() -> None:
    evaluation = await evaluated(await conversation(GOOD, GOOD, "very cold and " * 100))
    (moment,) = evaluation.key_moments
    assert len(moment.evidence) < 200
    assert moment.evidence.endswith("…”")


@pytest.mark.parametrize("said", [[], ["Yes"]])
async def test_an_evaluation_of_the_shortest_conversation_is_valid(said: list[str]) -> None:
    evaluation = await evaluated(await conversation(*said))
    assert (evaluation.overall_score, evaluation.key_moments) == (0, ())


async def test_without_objectives_there_is_nothing_to_cover() -> None:
    scenario = msgspec.structs.replace(SCENARIO, objectives=())
    messages = await conversation(*[GOOD] * 4, scenario=scenario)
    evaluation = await evaluated(messages, scenario)
    assert evaluation.summary.endswith("There were no objectives to cover.")
    assert evaluation.learning_objectives_evaluation == ()


async def test_a_blank_objective_takes_no_questions_from_the_others() -> None:
    scenario = msgspec.structs.replace(SCENARIO, objectives=(" ", "Explain winter"))
    messages = await conversation(*[GOOD] * 3, scenario=scenario)
    evaluation = await evaluated(messages, scenario)
    assert [e.met for e in evaluation.learning_objectives_evaluation] == [False, True]


async def test_the_same_conversation_gets_the_same_judgements() -> None:
    messages = await conversation(*[GOOD] * 4)
    assert await evaluated(messages) == await evaluated(messages)
