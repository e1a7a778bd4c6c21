"""Revoke: Celery's remote control command, which Flower's button sends, cancels jobs as well.

Celery's own revoke is an id in the memory of those workers that happen to hear of it, and is looked up when a task's
message comes. A job has no such message, and shall not come back with a restart. So a worker that hears the command
marks the job in its lane, where the mark outlives everything (worker/lua/cancel.lua). All workers hear it and all mark:
the first mark stays, and a job that has ended meanwhile waits no more. Ids of no waiting job, such as a drain's, are
revoked as ever.
"""

from typing import Any

from celery.worker import control

from worker.intervention import Interventions
from worker.redis_client import redis_client

BY = "revoke"
WHY = "it was revoked, in Flower or with Celery"


def revoke(state: Any, task_id: str | list[str], *args: Any, **kwargs: Any) -> Any:
    """Cancel waiting jobs by id; revoke tasks by id (or list of ids), with Celery's own arguments.

    Raises redis.RedisError: the caller reads it in the reply, the operator in the log.
    """
    ids = [task_id] if isinstance(task_id, str) else task_id
    settings = state.app.onelane_settings
    with redis_client(settings) as redis:
        acts = Interventions(redis, settings, BY)
        cancelled = [job_id for job_id in ids if acts.cancel(job_id, WHY)]
    others = [job_id for job_id in ids if job_id not in cancelled]
    if cancelled and not others:
        return {"ok": f"jobs {', '.join(cancelled)} cancelled in their lanes"}
    return control.revoke(state, others, *args, **kwargs)


def take_over() -> None:
    """Stand in for Celery's own command, in the table that the mailbox of this process looks into."""
    control.Panel.register(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")(revoke)
