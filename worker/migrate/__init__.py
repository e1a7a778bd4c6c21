"""Migrations: numbered steps, each committed together with its mark, or not at all.

`yoyo-migrations` was considered and left out: it marks a step in another transaction than the one that applied
it, so a kill between the two leaves a step that is there but not marked, and the next run fails on it. Here the step
and its row in `onelane.migrations` are one transaction, under an advisory lock that serialises migrators.
"""

from worker.migrate.adoption import Adoption, Finding, Outlook
from worker.migrate.archive import Archived, archived, kept_schemas
from worker.migrate.backup import Backup, back_up
from worker.migrate.inspection import check, lockdown, unlock, verify
from worker.migrate.plan import require_migrated
from worker.migrate.runner import Done, Rehearsal, Rehearsed, StepStatus, down, migrate, pending, rehearse, status
from worker.migrate.step import Step, sql_steps

__all__ = [
    "Adoption",
    "Archived",
    "Backup",
    "Done",
    "Finding",
    "Outlook",
    "Rehearsal",
    "Rehearsed",
    "Step",
    "StepStatus",
    "archived",
    "back_up",
    "check",
    "down",
    "kept_schemas",
    "lockdown",
    "migrate",
    "pending",
    "rehearse",
    "require_migrated",
    "sql_steps",
    "status",
    "unlock",
    "verify",
]
