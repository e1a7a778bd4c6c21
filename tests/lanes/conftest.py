"""A kind for tests of the lanes alone: no database is there, nothing is applied."""

from worker import Job


class Step(Job, kind="lanes.step"):
    """A job that is only moved about."""

    on: str
    number: int

    def lane(self) -> str:
        """The lane that it names."""
        return self.on
