"""The job that writes one of the bot's JSON files anew.

It is left in the outbox by every change of the file's table, so it starts after that change is committed, and the last
one shows all changes. It rests for a second first (worker/rest.py): all exports of a file that have come by then are
equal, so they are done as one, and many changes cost about one file a second. What is exported is committed, whatever
becomes of the batch that this job is part of; if that is rolled back, the file is written once more.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic_core import to_json

from tasks.bot_files import File
from tasks.mirror import Mirror
from tasks.settings import triage_settings
from tasks.triage_job import TriageJob


class ExportFile(TriageJob, kind="export.json"):
    """A file of the mirror shows what its table holds. A directory that can't be written fails this lane alone."""

    file: File
    merge = True
    rest_ms: ClassVar[int] = 1000
    messages = {
        "written": "{name} is up to date ({rows} rows).",
        "off": "This worker keeps no mirror (TRIAGE_MIRROR_DIR is not set); nothing was written.",
    }

    def lane(self) -> str:
        """The file's own lane."""
        return f"export:{self.file}"

    @classmethod
    def context(cls) -> dict[str, Any]:
        """Where the mirror is."""
        settings = triage_settings()
        return {"mirror_dir": settings.mirror_dir and str(settings.mirror_dir), "staging": settings.staging}

    @staticmethod
    def apply(  # type: ignore[override]  # as the contract wants it; mypy takes a callable in a class for a method
        connection: Any, jobs: list[dict[str, Any]], context: dict[str, Any]
    ) -> Iterable[tuple[Any, ...]]:
        """Write the files. Raises MirrorFault, BadFile, psycopg.Error."""
        if context["mirror_dir"] is None:
            return [(job["_n"], "unchanged", "off", None, None, None) for job in jobs]
        from tasks.mirror_source import beside, current  # noqa: PLC0415 - a bot that enqueues needs no PostgreSQL

        mirror = Mirror(Path(context["mirror_dir"]), staging=context["staging"])
        answers = []
        with beside(connection) as committed:
            for job in jobs:
                file: File = job["file"]
                rows = mirror.write(file, partial(current, committed, file))
                facts = to_json({"name": mirror.name(file), "rows": rows}).decode()
                answers.append((job["_n"], "applied", "written", None, None, facts))
        return answers
