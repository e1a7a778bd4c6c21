"""Every error that Onelane raises, in one tree.

OnelaneError
├── ConfigurationError     a service or a setting is not as it must be; the sentence says what to do
│   └── SpoolUnusable      this host's spool can't be used
├── Refused                `enqueue` said no: nothing was queued
│   ├── InvalidJob         the payload breaks its kind's rules
│   │   └── UnknownKind    no loaded module declares this kind
│   ├── WrongLane          the caller named another lane than the payload's
│   ├── JobTooLarge        the payload is over the size limit
│   ├── LaneFull           the lane, or all lanes together, are at their limit
│   └── IdReused           the id belongs to a job with another payload
├── NoOutcome              `wait` ended without an outcome
└── Damaged                bytes in a lane that are no envelope
"""


class OnelaneError(Exception):
    """The base of all errors of this project."""


class ConfigurationError(OnelaneError):
    """A service can't be used as configured; the message is one sentence that says what to do."""


class SpoolUnusable(ConfigurationError):
    """This host's spool can't be looked at, so nobody knows whether a job would pass others, or it can't be written."""


class Refused(OnelaneError):
    """The job was not queued; the message tells the caller why, naming the field and what was expected."""


class InvalidJob(Refused):
    """The payload breaks the rules of its kind."""


class UnknownKind(InvalidJob):
    """No loaded module declares this kind."""


class WrongLane(Refused):
    """The lane that was named is not the one of the payload."""


class JobTooLarge(Refused):
    """The envelope is over `payload_limit` bytes."""


class LaneFull(Refused):
    """The lane is at `lane_limit` jobs, or all lanes together at `total_limit`."""


class IdReused(Refused):
    """This id was already given to a job with another payload."""


class NoOutcome(OnelaneError):
    """`wait` ended before the job did, or so long after it that the outcome is only in the ledger."""


class Damaged(OnelaneError):
    """These bytes are no envelope."""
