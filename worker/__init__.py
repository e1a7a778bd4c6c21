"""The engine: per-entity lanes in Redis, drained by single-concurrency Celery workers into PostgreSQL.

The way of a job, a file for each step:

    enqueue.py → lane.py → bell.py → claim.py → batch.py → acknowledge.py

These names are all that a bot needs; importing them loads neither Celery's worker side nor PostgreSQL.
"""

from worker.client import Client, Handle
from worker.errors import (
    ConfigurationError,
    IdReused,
    InvalidJob,
    JobTooLarge,
    LaneFull,
    NoOutcome,
    OnelaneError,
    Refused,
    SpoolUnusable,
    UnknownKind,
    WrongLane,
)
from worker.job import Job
from worker.outcome import Outcome

__all__ = [
    "Client",
    "ConfigurationError",
    "Handle",
    "IdReused",
    "InvalidJob",
    "Job",
    "JobTooLarge",
    "LaneFull",
    "NoOutcome",
    "OnelaneError",
    "Outcome",
    "Refused",
    "SpoolUnusable",
    "UnknownKind",
    "WrongLane",
]
