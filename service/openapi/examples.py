"""Examples by the name of the schema that they must satisfy."""

from typing import Any

from service.openapi.analytics_examples import ANALYSING

_TURN_ID = "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a01"
_MESSAGE_ID = "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a02"
_REFERENCE = "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a03"
_VOTE = {
    "id": "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a04",
    "vote": "liked",
    "user_id": 101,
    "feedback_message": "That question helped.",
    "created_at": "2031-03-01T09:02:10Z",
}
_OBJECTIVE = "Explain why most coasts have two high tides a day"
_PROGRESS = {
    "current": 0,
    "total": 1,
    "percentage": 0,
    "objectives": [{"objective": _OBJECTIVE, "status": ""}],
}
_MESSAGES = [
    {
        "id": "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a05",
        "role": "User",
        "text": "Please begin.",
        "created_at": "2031-03-01T09:00:00Z",
        "feedback": [],
    },
    {
        "id": _MESSAGE_ID,
        "role": "Assistant",
        "text": "What have you seen the sea do in a day?",
        "created_at": "2031-03-01T09:00:02Z",
        "feedback": [],
    },
]
_CONVERSATION = {"id": 17, "messages": _MESSAGES, "progress": _PROGRESS}
_FACTS = {
    "id": 17,
    "user_id": "101",
    "workflow_state": "active",
    "all_objectives_met": False,
    "created_at": "2031-03-01T09:00:00Z",
    "updated_at": "2031-03-01T09:00:02Z",
    "progress": _PROGRESS,
}
_STUDENT = {"id": 101, "name": "Ada Example"}
_DRAFT = {
    "title": "Why the tide comes back",
    "description": "A walk along a harbour wall at low tide.",
    "facts": "The Moon pulls more strongly on the near side of the Earth.",
    "learning_objective": _OBJECTIVE,
    "pedagogical_guidance": "Start from what the learner has seen.",
    "workflow_state": "published",
}
_EXPERIENCE = {"id": 1, "course_id": 1, **_DRAFT}
_EVALUATION = {
    "summary": "Ada reasoned from what she had seen.",
    "overall_assessment": "A good start.",
    "overall_score": 70,
    "learning_objectives_evaluation": [
        {
            "objective": _OBJECTIVE,
            "met": True,
            "score": 70,
            "explanation": "She named both bulges.",
            "met_at_turn": 2,
        }
    ],
    "strengths": ["Observes closely"],
    "areas_for_improvement": ["Say why, not only that"],
    "key_moments": [
        {
            "learning_objective": _OBJECTIVE,
            "evidence": "There is one on the far side too.",
            "message_number": 4,
        }
    ],
}

_EVENT: dict[str, Any] = {
    "position": 42,
    "recorded_at": "2031-03-01T09:02:10.123456Z",
    "stream": "dialogue-1-101",
    "revision": 7,
    "event_id": _TURN_ID,
    "type": "conversation_completed.v1",
    "conversation_id": 17,
    "content_hash": None,
    "data": {"type": "conversation_completed.v1", "conversation_id": 17, "reason": "deleted"},
    "metadata": {"actor": {"id": 101, "role": "learner"}},
    "content": None,
    "erased": False,
}

EXAMPLES: dict[str, Any] = {
    "NoBody": {},
    "MessageBody": {"message": "The Moon pulls the water, I think."},
    "FeedbackBody": {"vote": "liked", "feedback_message": "That question helped."},
    "NewExperienceBody": {"ai_experience": _DRAFT},
    "ExperienceBody": {"ai_experience": {"workflow_state": "published"}},
    "NewExperienceForm": {f"ai_experience[{name}]": text for name, text in _DRAFT.items()},
    "ExperienceForm": {"ai_experience[workflow_state]": "published"},
    "ConversationAnswer": _CONVERSATION,
    "NoConversation": {},
    "CompletedAnswer": {"message": "Conversation completed successfully"},
    "ConversationDetail": _FACTS | {"messages": _MESSAGES},
    "StudentConversation": _FACTS | {"messages": _MESSAGES, "student": _STUDENT},
    "StudentConversations": {
        "conversations": [
            _FACTS | {"student": _STUDENT, "has_conversation": True},
            {
                "id": None,
                "user_id": "102",
                "student": {"id": 102, "name": "Ben Example"},
                "has_conversation": False,
            },
        ]
    },
    "FeedbackGivenAnswer": {"feedback": _VOTE},
    "SuccessAnswer": {"success": True},
    "LearnersExperience": {
        name: value
        for name, value in _EXPERIENCE.items()
        if name not in ("facts", "pedagogical_guidance")
    }
    | {"submission_status": "in_progress"},
    "ManagersExperience": _EXPERIENCE,
    "EvaluationAnswer": {"id": 17, "evaluation": _EVALUATION},
    "LatestEvaluation": {"id": 17, "evaluation": _EVALUATION, "stale": False},
    "ErasureBody": {"reason": "Asked by the learner, letter of 3 May."},
    "ErasedAnswer": {
        "erased": {
            "user_id": 101,
            "texts": 240,
            "conversations": 16,
            "names": 1,
            "identities": 1,
            "tokens": 2,
        }
    },
    "LearnerRecord": {
        "user_id": 101,
        "name": "Ada Example",
        "made_at": "2031-05-04T08:00:00Z",
        "conversations": [
            {
                "id": 17,
                "course_id": 1,
                "experience_id": 1,
                "experience_title": "Why the tide comes back",
                "workflow_state": "completed",
                "all_objectives_met": False,
                "created_at": "2031-03-01T09:00:00Z",
                "completed_at": "2031-03-01T09:20:00Z",
                "messages_by_learner": 6,
                "messages_by_model": 7,
                "evaluations": ["2031-03-01T10:00:00Z"],
                "votes": [
                    {
                        "vote": "liked",
                        "voter_id": 101,
                        "words": "That question helped.",
                        "voted_at": "2031-03-01T09:02:10Z",
                    }
                ],
                "text_kept": True,
                "text_removed_at": None,
            }
        ],
        "holds": [],
        "erasures": [],
        "reads": [
            {
                "read_at": "2031-03-02T07:30:00Z",
                "reader_id": 1,
                "reader_name": "Ben Example",
                "role": "teacher",
                "acting_user_id": None,
                "what": "conversation",
                "conversation_id": 17,
                "course_id": None,
            }
        ],
    },
    "AuditedEvent": _EVENT,
    "Replayed": {
        "conversation_id": 17,
        "at": 42,
        "recorded_at": "2031-03-01T09:02:10.123456Z",
        "course_id": 1,
        "experience_id": 1,
        "experience_version": 1,
        "experience": {"title": "Why the tide comes back"},
        "user_id": 101,
        "user_name": "Ada Example",
        "seen": _FACTS | {"messages": _MESSAGES},
        "active": _CONVERSATION,
        "steps": [
            {
                "position": 42,
                "recorded_at": "2031-03-01T09:02:10.123456Z",
                "type": "conversation_completed.v1",
                "title": "The conversation was completed",
                "actor": {"id": 101, "role": "learner"},
                "shown": False,
                "withdrawn": False,
                "text": None,
                "erased": False,
                "data": _EVENT["data"],
            }
        ],
    },
    **ANALYSING,
}
"""All bodies that the document names."""

STREAM = (
    f'id: 1\nevent: accepted\ndata: {{"turn_id":"{_TURN_ID}","message_id":"{_MESSAGE_ID}",'
    '"conversation_id":17}\n\n'
    'id: 2\nevent: delta\ndata: {"text":"And what "}\n\n'
    'id: 3\nevent: delta\ndata: {"text":"pulls it?"}\n\n'
    'id: 4\nevent: done\ndata: {"id":17,"messages":[],"progress":null}\n\n'
)
"""A turn as server-sent events."""
