"""The mirror: a directory with the bot's JSON files, to read while PostgreSQL is away. Never a second place to write.

A file is replaced as a whole: a draft beside it is written, fsynced and renamed, so a reader sees the old file or the
new one, and a crash of the machine leaves one of them. The draft has one fixed name and is also the lock: who writes
holds an flock on it, and reads the database only then. So of two writers the one that read later renames later, and a
writer that was paused for an hour can't put old data over new: it still holds the lock, and nobody has passed it. A
killed writer leaves its draft behind, unlocked; the next one takes it over.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tasks.bot_files import FILES, BadFile, Content, File, entries, file_name, read, render
from tasks.settings import TriageSettings
from worker.errors import ConfigurationError

PATIENCE_SECONDS = 1.0
"""How long to wait for another writer of the same file; it takes some ms."""
LOOK_SECONDS = 0.02


class MirrorFault(ConfigurationError):
    """A file of the mirror can't be written; the sentence says which, why, and what to look at."""


class _Busy(Exception):
    """Another process holds the draft."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a file of the mirror is: when it was written, its age, its rows; or what is wrong with it."""

    file: str
    written: datetime | None
    age_seconds: float | None
    rows: int | None
    problem: str | None


class Mirror:
    """The files in one directory; safe for many processes."""

    def __init__(self, directory: Path, *, staging: bool) -> None:
        self.directory, self._staging = directory, staging

    @classmethod
    def of(cls, settings: TriageSettings) -> Self:
        """The mirror that the settings name. Raises ConfigurationError when they name none."""
        if settings.mirror_dir is None:
            raise ConfigurationError(
                "No mirror is configured: set TRIAGE_MIRROR_DIR to the directory for the bot's JSON files."
            )
        return cls(settings.mirror_dir, staging=settings.staging)

    def name(self, file: File) -> str:
        """How the file is called here."""
        return file_name(file, staging=self._staging)

    def write(self, file: File, content: Callable[[], Content]) -> int:
        """Replace the file by what `content` says once nobody else writes it; how many rows it has now.

        Raises MirrorFault, BadFile, and what `content` raises; then the file is as it was.
        """
        path, draft = self._path(file), self.directory / f".{self.name(file)}.draft"
        try:
            with _locked(draft) as descriptor:
                try:
                    said = content()
                    _fill(descriptor, render(said))
                except BaseException:
                    draft.unlink()  # on a full disk it would hold what little is left
                    raise
                draft.rename(path)
                _sync_directory(self.directory)
        except OSError as error:
            raise MirrorFault(
                f"{path} can't be written ({error.strerror}: {error.filename or draft}). Look at TRIAGE_MIRROR_DIR, at "
                "the owner of that directory, and at the space that is left."
            ) from error
        except _Busy:
            raise MirrorFault(f"{path} can't be written: another process has been at it for too long.") from None
        return self._rows(file, said)

    def read(self, file: File) -> Content:
        """What the file says. Raises FileNotFoundError, BadFile."""
        return read(self._path(file))

    def condition(self, file: File) -> Condition:
        """How the file is; this needs no database."""
        name = self.name(file)
        try:
            written = datetime.fromtimestamp(self._path(file).stat().st_mtime, UTC)
            rows = self._rows(file, self.read(file))
        except FileNotFoundError:
            return Condition(name, None, None, None, "It is not there.")
        except OSError as error:
            return Condition(name, None, None, None, f"It can't be looked at: {error.strerror}.")
        except BadFile as problem:
            return Condition(name, written, _age(written), None, str(problem))
        return Condition(name, written, _age(written), rows, None)

    def conditions(self) -> list[Condition]:
        """How all files are."""
        return [self.condition(file) for file in FILES]

    def _path(self, file: File) -> Path:
        return self.directory / self.name(file)

    def _rows(self, file: File, content: Content) -> int:
        return sum(1 for _ in entries(file, self.name(file), content))


def _age(written: datetime) -> float:
    return (datetime.now(UTC) - written).total_seconds()


@contextmanager
def _locked(draft: Path) -> Iterator[int]:
    """The draft, open and ours alone. Raises OSError; _Busy when it is another's for too long."""
    patience = Retrying(
        retry=retry_if_exception_type(_Busy),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_fixed(LOOK_SECONDS),
        reraise=True,
    )
    descriptor = patience(_take, draft)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(draft: Path) -> int:
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == draft.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # it is another's, or has just been renamed by one: what we hold open may be the file itself by now
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise _Busy


def _fill(descriptor: int, content: bytes) -> None:
    os.ftruncate(descriptor, 0)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    """Make the rename itself survive a crash of the machine."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
