"""Errors of commands alone."""

from service.errors import ServiceError


class ExperienceError(ServiceError):
    """The experience file cannot be imported."""


class UnknownCourse(ServiceError):
    """there is no such course"""


class UnknownConversation(ServiceError):
    """There is no such conversation."""
