"""The names of streams."""


def stream_of_experience(experience_id: int) -> str:
    """The stream of an experience."""
    return f"experience-{experience_id}"
