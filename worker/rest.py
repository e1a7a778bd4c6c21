"""Rest: a kind may leave its jobs alone for a while after their enqueue (`Job.rest_ms`): for what has to be done some
seconds after a change, or once for many changes.

Such a job stands in its lane like any other, and when it is due follows from its envelope. So no timer of any process
has to live for it: whoever claims the lane too early parks it until then, with no attempt less. What is behind it
waits too, for a lane keeps its order. Of a merging kind the equal jobs behind one that is due go with it, however
young: the work is done after all of them were asked for, so many changes within a rest cost it once.

When a job was enqueued and what time it is now may be two hosts' words. Where they disagree a rest becomes shorter or
longer, but a clock that is wrong by hours makes nobody wait for more than two rests.
"""

from worker.acknowledge import Park
from worker.entry import Entry


def take_resting(entries: list[Entry], now: int) -> Park | None:
    """Leave only entries that are due at `now` (µs). How the lane is parked for the others; None without any."""
    before = None
    for number, entry in enumerate(entries):
        job = entry.job if entry.end is None else None
        if job is not None and job.rest_ms and not (job.merge and job == before):
            rest = job.rest_ms * 1000
            left = entry.envelope.at + rest - now
            if 0 < left <= 2 * rest:
                del entries[number:]
                return Park(-(-left // 1000))
        before = job
    return None
