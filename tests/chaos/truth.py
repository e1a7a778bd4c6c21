"""What must be true at the end of any story: every job has taken effect once, in order, and nothing is left behind."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tests.integration.kinds import Tell, Write
from tests.integration.notebook import Notebook

Writing = Write | Tell


def check(notebook: Notebook, enqueued: Mapping[str, Writing]) -> None:
    """Hold the database and Redis against the jobs that were enqueued, in their order (id → job)."""
    ended = {row["job_id"]: row for row in notebook.rows("SELECT * FROM onelane.ledger")}
    follow_ups = {job_id for job_id, row in ended.items() if row["actor"] == "U0FOLLOW"}
    assert set(enqueued) - set(ended) == set(), "jobs are lost"
    assert set(ended) - set(enqueued) == follow_ups, "there are jobs that nobody enqueued"
    unwanted = [(row["status"], row["code"], row["error"]) for row in ended.values() if row["status"] != "applied"]
    assert unwanted == [], "jobs were not applied"

    lines = notebook.rows("SELECT page, text, job FROM lines ORDER BY n")
    assert len(lines) == len({line["job"] for line in lines}) == len(ended), "jobs took effect twice, or not at all"
    expected: dict[str, list[str]] = defaultdict(list)
    for job in enqueued.values():
        expected[job.page].append(job.text)
    written: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line["job"] in enqueued:
            written[line["page"]].append(line["text"])
    assert written == expected, "the order of a lane is broken"

    told = [job.text for job in enqueued.values() if isinstance(job, Tell)]
    assert sorted(ended[job]["lane"] for job in follow_ups) == sorted(
        f"page:{job.other}" for job in enqueued.values() if isinstance(job, Tell)
    )
    effects: Sequence[Any] = notebook.redis.xrange(notebook.settings.effects_stream)
    payloads = [fields[b"payload"].decode() for _, fields in effects if fields[b"kind"] == b"told"]
    assert sorted(payloads) == sorted(f'{{"text":"{text}"}}' for text in told), "effects are lost or doubled"
    check_audit(notebook)
    assert notebook.rows("SELECT * FROM onelane.outbox") == []
    assert notebook.left_in_redis() == set(), "empty lanes leave keys behind"


def check_audit(notebook: Notebook) -> None:
    """Each audit row begins where the one before ended, and the last is what stands there."""
    state: dict[str, Any] = {}
    for row in notebook.rows("SELECT page, before, after FROM audit ORDER BY n"):
        assert row["before"] == state.get(row["page"]), "the audit tells of a state that never was"
        state[row["page"]] = row["after"]
    pages = {row["page"]: row for row in notebook.rows("SELECT page, lines, last FROM pages")}
    assert state == pages, "the audit does not end where the pages are"
