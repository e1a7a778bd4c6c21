"""The heartbeat: a job that changes nothing. That it came to its end proves that jobs do, from enqueue to commit."""

from worker.job import Job

LANE = "heartbeat"


class Heartbeat(Job, kind="onelane.heartbeat"):
    """Goes all the way of a job; the ledger keeps only the newest."""

    messages = {"beat": "A worker has applied this."}
    merge = True
    sql = """
        WITH jobs AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer)
        ), forgotten AS (
            DELETE FROM onelane.ledger WHERE job_id >= 'heartbeat:' AND job_id < 'heartbeat;'
        )
        SELECT _n, 'unchanged', 'beat', NULL::jsonb, NULL::jsonb, NULL::jsonb FROM jobs
    """

    def lane(self) -> str:
        """The heartbeat's own lane."""
        return LANE
