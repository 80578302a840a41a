"""What can go wrong between us and the database, in words that the application can act on."""

from crossbook.domain.errors import CrossbookError


class StorageError(CrossbookError):
    """Root of every error of the storage room."""


class DatabaseUnavailable(StorageError):
    """The database can not be reached, or was lost on the way.

    Nothing of the transaction took effect. The same call may succeed once the database is back.
    """


class CommitOutcomeUnknown(DatabaseUnavailable):
    """The database was lost while it was committing: the transaction took effect whole, or not at all.

    Only asking again, by an id that the caller chose, tells which.
    """


class DatabaseRefused(StorageError):
    """The database answers and will not let us in: password, name or rights are wrong. Trying again is useless."""


class TransactionConflict(StorageError):
    """Two transactions were in each other's way, and this one gave way. Nothing took effect; it may be tried again."""


class StatementTooSlow(StorageError):
    """A statement, or its wait for a lock, took longer than the limit. Nothing of the transaction took effect."""


class ConstraintViolated(StorageError):
    """A row would have broken a rule of the schema. `constraint` is the name of that rule."""

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class StatementFailed(StorageError):
    """The database refused a statement for a reason that is a fault of ours. `code` is its SQLSTATE."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class LeaseLost(StorageError):
    """Somebody else holds the lease, or held it in the meantime. Whoever gets this must stop working under it."""


class MigrationError(StorageError):
    """The schema in the database and the migrations of this program do not fit together."""


class EmbeddedServerError(StorageError):
    """The embedded PostgreSQL can not be started or stopped; the message says what to do."""
