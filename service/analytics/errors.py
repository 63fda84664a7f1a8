"""What can go wrong with learning records; the message names what."""

from service.errors import ServiceError


class StatementsRefused(ServiceError):
    """the learning record store did not take the statements"""


class CursorUnfit(ServiceError):
    """the checkpoint is of another export"""


class BeyondTheLog(ServiceError):
    """the log is not as long as that"""


class ExportFileUnfit(ServiceError):
    """the file cannot be written"""


class ExportStopped(ServiceError):
    """the export was told to stop"""
