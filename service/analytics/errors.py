"""Errors of analysts' logins, exported tables and learning records."""

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


class UnknownTable(ServiceError):
    """there is no such table for analysts"""


class ExportRefused(ServiceError):
    """the folder cannot take the export"""


class ExportBehind(ServiceError):
    """the tables are behind the log"""


class AnalystError(ServiceError):
    """The login of an analyst could not be made or changed."""


class TablesReplaced(ExportRefused):
    """the tables were replaced by other versions; try again"""
