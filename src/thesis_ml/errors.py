"""The named errors of the framework; every message reads *where: what is wrong; what would be right*."""


class ConfigError(Exception):
    """A key, value or combination in the configuration that cannot be used."""


class DataError(Exception):
    """A data file that cannot be read or that contradicts itself."""


class FactsError(Exception):
    """A facts folder that cannot be written or read."""


class UnusableRunError(FactsError):
    """A folder whose facts cannot be used.

    Args:
        state: damaged, foreign or empty.
        reason: The fault in words.
    """

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(f"{state}: {reason}")
        self.state = state
        self.reason = reason


class ReportError(Exception):
    """A report that cannot be made from the runs it was given."""


class TrainingError(Exception):
    """A training that cannot continue, because a loss is not finite for example."""


class OutOfMemoryError(Exception):
    """A command that needs more memory than there is."""


class RunInterrupted(KeyboardInterrupt):
    """A run that a signal or its time limit stopped where it can be resumed.

    It is a KeyboardInterrupt, so that a loop over jobs stops at it as at Ctrl-C.

    Args:
        reason: The signal or the key of the limit.
        exit_code: That of the process.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
