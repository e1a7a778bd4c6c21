"""A plain model of lanes: what the scripts must do, in Python, without time: it passes when a test says so."""

from dataclasses import dataclass, field

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class ModelJob:
    """A job in a lane."""

    seq: int
    id: str
    digest: str


@dataclass
class ModelClaim:
    """A claim in force on a lane."""

    token: int
    taken: int = 0
    """Jobs that are acknowledged under it."""
    expired: bool = False


@dataclass
class ModelLane:
    """One lane. `due` says whether its time in `ready` has come; it means nothing while claimed or held for good."""

    name: str
    jobs: list[ModelJob] = field(default_factory=list)
    claim: ModelClaim | None = None
    attempts: str | None = None
    crashes: int = 0
    hold: str | None = None
    """None, `for good`, `timed`."""
    ready: str | None = None
    """None (not in `ready`), `due`, `later`."""

    @property
    def suspect(self) -> bool:
        """Whether it must be claimed alone."""
        return self.attempts is not None or self.crashes > 0

    def line_up(self, when: str) -> bool:
        """Go where an unclaimed lane belongs; whether it is ready, now or later, without a hold."""
        if self.hold == "for good":
            self.ready = None
        elif self.hold == "timed":
            self.ready = "later"
        else:
            self.ready = when if self.jobs else None
            return bool(self.jobs)
        return False

    def take_back(self) -> None:
        """The lease has ended and somebody noticed."""
        self.claim = None
        self.crashes += bool(self.jobs)
        self.line_up("due")

    def in_force(self, token: int) -> bool:
        """Whether this claim is the one in force."""
        return self.claim is not None and self.claim.token == token

    def acknowledge(self, token: int, upto: int, *, keep: bool) -> tuple[str, list[ModelJob]]:
        """Take ended jobs off; the word and the jobs."""
        if not self.in_force(token):
            return "lost", []
        assert self.claim is not None
        gone = self.jobs[: max(0, upto - self.claim.taken)]
        if gone:
            self.jobs = self.jobs[len(gone) :]
            self.attempts, self.crashes = None, 0
        self.claim.taken = max(upto, self.claim.taken)
        if keep:
            return "kept", gone
        self.claim = None
        self.line_up("due")
        return "released", gone

    def park(self, token: int, when: str, memory: str) -> str:
        """Give it back with its head in place."""
        if not self.in_force(token):
            return "lost"
        self.attempts = memory or self.attempts
        self.claim = None
        self.line_up(when)
        return "parked"

    def put_back(self, jobs: list[ModelJob]) -> None:
        """Dead letters come back, each where its number belongs."""
        head = self.jobs[0] if self.jobs else None
        for job in jobs:
            place = next((n for n, other in enumerate(self.jobs) if other.seq > job.seq), len(self.jobs))
            self.jobs.insert(place, job)
        stays = head is not None and self.jobs[0] == head
        if not stays:
            self.attempts, self.crashes = None, 0
        self.line_up((self.ready or "due") if stays else "due")
