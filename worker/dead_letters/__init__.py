"""Dead letters: jobs that ended in the hands of an operator, and what an operator can do with them.

A dead letter is a ledger row with the status `dead`: the job's bytes as they were, and all that is known of why. It
stays until somebody replays it or discards it. Whatever is done goes by one filter, in one order, and is written down
with who did it and why.
"""

from worker.dead_letters.discard import Discarded, discard
from worker.dead_letters.edit import Change, edit
from worker.dead_letters.filter import Filter
from worker.dead_letters.replay import Replayed, ends_of, replay, replay_steps
from worker.dead_letters.report import count, lines, report, stats
from worker.dead_letters.transfer import export_lines, import_lines

__all__ = [
    "Change",
    "Discarded",
    "Filter",
    "Replayed",
    "count",
    "discard",
    "edit",
    "ends_of",
    "export_lines",
    "import_lines",
    "lines",
    "replay",
    "replay_steps",
    "report",
    "stats",
]
