"""Dead letters: jobs that ended in the hands of an operator, and what an operator can do with them.

A dead letter is a ledger row with the status `dead`: the job's bytes as they were, and all that is known of why. It
stays until somebody replays it or discards it. Whatever is done goes by one filter, in one order, and is written down
with who did it and why.
"""

from worker.dead_letters.filter import Filter
from worker.dead_letters.replay import Replayed, ends_of, replay

__all__ = ["Filter", "Replayed", "ends_of", "replay"]
