"""`onelane job`: where a job is and what became of it."""

from contextlib import suppress
from typing import Annotated, Any

import typer

from worker.cli.operator import JobId
from worker.cli.output import Json, print_json, say, show_fields
from worker.client import Client
from worker.errors import ConfigurationError, NoOutcome
from worker.redis_client import require_usable
from worker.settings import Settings
from worker.whereabouts import Whereabouts, find_in_spool, find_job


def job(
    job_id: JobId,
    *,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for its end.")] = 0,
    as_json: Json = False,
) -> None:
    """Say where a job is and what became of it.

    Exit code 1 when no such job is known, or it has not ended within --wait.
    """
    settings = Settings.load()
    client = Client(settings)
    found = _find(settings, client, job_id)
    if wait and not found.ended:
        with suppress(NoOutcome):
            client.wait(job_id, wait)
        found = find_job(settings, client.redis, job_id)
    if as_json:
        print_json({"id": found.id, "where": found.place, **found.facts})
    else:
        say(sentence(found))
        show_fields({name: value for name, value in found.facts.items() if name not in {"id", "seq", "message"}})
    raise typer.Exit(int(bool(wait) and not found.ended))


def _find(settings: Settings, client: Client, job_id: str) -> Whereabouts:
    try:
        require_usable(client.redis)
    except ConfigurationError:
        if spooled := find_in_spool(settings, job_id):  # a job is there just because Redis is away
            return spooled
        raise
    return find_job(settings, client.redis, job_id)


def sentence(found: Whereabouts) -> str:
    """Where the job is, for people."""
    facts: dict[str, Any] = dict(found.facts)
    match found.place:
        case "ledger" if found.ended:
            return str(facts["message"])
        case "lane":
            return f"It waits in its lane, {_place(facts)}."
        case "spool":
            return "It waits in this host's spool; the next enqueue that reaches Redis sends it."
        case _:
            return "It waits in the outbox; a worker puts it onto its lane."


def _place(facts: dict[str, Any]) -> str:
    where = "position unknown" if facts["position"] is None else f"place {facts['position']} of {facts['lane_length']}"
    match facts["lane_state"]:
        case "parked":
            failed = facts["head_attempts"]
            what, tries = ("tries again at", f", after {failed} failed tries") if failed else ("rests until", "")
            return f"{where}; the lane {what} {facts['next_try']:%H:%M:%S} UTC{tries}"
        case "held":
            return f"{where}; the lane is held: {facts['held']['why']}"
        case "claimed":
            return f"{where}; a worker is at it"
        case _:
            return where
