"""Examples of the analysts' answers."""

from typing import Any

_FRESH = {
    "position": 4000,
    "head": 4002,
    "lag_events": 2,
    "lag_seconds": 0.4,
    "stopped": [],
    "paused": [],
    "as_of": "2031-03-28T09:02:10.123456Z",
}
_TOTALS = {
    "learners": 24,
    "conversations": 61,
    "messages": 402,
    "replies": 398,
    "failed": 3,
    "cancelled": 1,
    "objectives_covered": 118,
    "cost_microusd": 812_400,
    "unpriced": 1,
}
_DAYS: dict[str, Any] = {"from": "2031-03-01", "to": "2031-03-28", "freshness": _FRESH}
_STAGES = {"opened": 61, "replied": 55, "completed": 40, "with_objectives": 61, "met": 31}
_SPREAD = {"p50": 2287.0, "p95": 4449.7}
_TOKENS = {
    "input_tokens": 3208,
    "output_tokens": 8975,
    "cache_creation_input_tokens": 72_450,
    "cache_read_input_tokens": 89_700,
}
_COURSE: dict[str, Any] = _DAYS | {
    "course_id": 1,
    "totals": _TOTALS,
    "days": [_TOTALS | {"day": "2031-03-01"}],
    "funnels": [
        {
            "ai_experience_id": 1,
            "conversations": _STAGES,
            "learners": _STAGES,
            "objectives": 183,
            "covered": 118,
            "share": 0.645,
        }
    ],
    "objectives": [
        {
            "ai_experience_id": 1,
            "version": 1,
            "objective": 2,
            "conversations": 61,
            "covered": 44,
            "share": 0.721,
            "median_turn": 3.0,
        }
    ],
    "outcomes": [
        {"kind": "message", "outcome": "completed", "code": None, "turns": 398}
        | {"retries": 2, "takeovers": 1},
        {"kind": "message", "outcome": "failed", "code": "model_overloaded", "turns": 3}
        | {"retries": 0, "takeovers": 0},
    ],
    "latency": {
        "turns": 459,
        "duration_ms": _SPREAD,
        "first_token_ms": _SPREAD,
        "durations": [{"from": 60_000, "below": None, "count": 2}],
    },
    "costs": {
        "conversations": 60,
        "cost_microusd": _SPREAD,
        "costs": [{"from": 10_000, "below": 20_000, "count": 22}],
    },
    "models": [
        {"model": "claude-haiku-5-5", "purpose": "opening"}
        | _TOKENS
        | {"cost_microusd": 286_261, "unpriced": 0}
    ],
    "feedback": {
        "liked": 37,
        "disliked": 18,
        "learners_liked": 33,
        "learners_disliked": 13,
        "withdrawn": 2,
    },
}

ANALYSING: dict[str, Any] = {
    "CoursesFigures": _DAYS | {"courses": [_TOTALS | {"course_id": 1}]},
    "CourseFigures": _COURSE,
    "ExperienceFigures": _COURSE | {"ai_experience_id": 1},
    "AllFreshness": {
        "freshness": _FRESH,
        "projections": [
            {
                "projection": "turn_facts",
                "version": 3,
                "position": 4000,
                "head": 4002,
                "lag_events": 2,
                "lag_seconds": 0.4,
                "stopped": False,
                "error_position": None,
                "error_at": None,
                "paused": False,
            }
        ],
    },
}
"""Examples by the name of the schema that they must satisfy."""
