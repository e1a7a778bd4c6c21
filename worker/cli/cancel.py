"""`onelane cancel`: take a waiting job out of its lane."""

from collections.abc import Mapping
from typing import Any

from worker.cli.job import sentence
from worker.cli.operator import ME, Actor, JobId, Reason, services
from worker.cli.output import say
from worker.client import Client
from worker.errors import NoOutcome, OnelaneError
from worker.intervention import Interventions
from worker.lane import Keys
from worker.whereabouts import find_job, in_lane

TURN_SECONDS = 3.0
"""How long to wait for a worker to come to the job, where that is to be expected."""


def cancel(
    job_id: JobId,
    *,
    reason: Reason = "no reason given",
    actor: Actor = ME,
) -> None:
    """Cancel a waiting job: it is never applied, and the ledger says so when its turn comes.

    Exit code 1 when it is too late for that.
    """
    with services() as (settings, redis):
        acts = Interventions(redis, settings, actor)
        if not acts.cancel(job_id, reason):
            found = find_job(settings, redis, job_id)
            raise OnelaneError(f"Only a job in a lane can be cancelled. {sentence(found)}")
        waiting = in_lane(redis, Keys(settings.prefix), job_id)
        if waiting is not None and waiting["lane_state"] in {"parked", "held"}:
            say(f"{job_id} will not be applied. {_turn(waiting)}")
            return
        in_hand = waiting is None or waiting["lane_state"] == "claimed"
        _say_what_became_of_it(Client(settings, redis), job_id, in_hand=in_hand)


def _say_what_became_of_it(client: Client, job_id: str, *, in_hand: bool) -> None:
    try:
        outcome = client.wait(job_id, TURN_SECONDS)
    except NoOutcome:
        unless = ", unless a worker has it in hand already" if in_hand else ""
        say(f"{job_id} will not be applied{unless}. The ledger will say so when its turn comes.")
        return
    if outcome.status != "cancelled":
        raise OnelaneError(f"Too late: a worker had it in hand. {outcome.message}")
    say(f"{job_id} is cancelled.")


def _turn(waiting: Mapping[str, Any]) -> str:
    return (
        f"The ledger will say so when its turn comes: it is number {waiting['position']} in {waiting['lane']}, "
        f"which is {waiting['lane_state']}."
    )
