"""The service is held to its own description by generated requests."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.running import LEARNER, TEACHER, environment_of, running_service

CONFIGURATION = """
seed = 20310301
continue-on-failure = true

[generation]
max-examples = 5
database = "none"

[phases.stateful.generation]
max-examples = 10

# Ids that are there, so that requests get beyond 404; others are made up beside them.
[dictionaries.there]
values = [1]

[parameters]
"path.course_id" = { dictionary = "there", probability = 0.9 }
"path.ai_experience_id" = { dictionary = "there", probability = 0.9 }

# No schema can tell whether an Idempotency-Key had another request before (422), whether an ETag
# is the conversation's (412) …
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 422, 429, "5xx"]

# … or whose message an id is (400: only the model's take votes).
[[operations]]
include-operation-id = "giveFeedback"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 403, 404, 422]
"""
ANALYST = 901


@pytest.mark.slow
@pytest.mark.timeout(330)
@pytest.mark.parametrize(
    ("user", "paths"),
    [(LEARNER, "/"), (TEACHER, "/"), (ANALYST, "/analytics/")],
    ids=["learner", "teacher", "analyst"],
)
async def test_generated_requests_are_answered_as_described(
    demo_url: str, tmp_path: Path, user: int, paths: str
) -> None:
    """Examples, edge cases, random ones and chains along the links; every check is on."""
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    async with running_service(
        demo_url, max_creates=100_000, max_messages=100_000, max_evaluations=100_000
    ) as service:
        tester = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
            *("--no-color", "run", f"{service.url}/api/v1/openapi.json"),
            *("--header", f"Authorization: Bearer {service.tokens[str(user)]}"),
            *("--include-path-regex", paths),
            env=environment_of({}),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(300):
                output, _ = await tester.communicate()
        finally:
            if tester.returncode is None:
                tester.kill()
                await tester.wait()
    assert tester.returncode == 0, output.decode()
