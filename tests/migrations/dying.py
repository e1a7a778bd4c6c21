"""A real migration in a process of its own, which dies before, in or after the transaction of one step.

The processes are forked from one that has loaded everything, as loading takes longer than migrating.
"""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

import psycopg

from tasks.adopt import table_step
from worker.errors import ConfigurationError
from worker.migrate import Done, migrate, runner
from worker.migrate.step import Step


def die(url: str, step: str, moment: str) -> tuple[int | None, str]:
    """Migrate until that moment of the step: `prepared`, `inside`, `terminated` (by the database) or `after`.

    Returns the exit code, and the sentence that the process ended with.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(url, step, moment, theirs))
    process.start()
    theirs.close()
    try:
        said = ours.recv()
    except EOFError:
        said = ""
    finally:
        ours.close()
    process.join()
    code = process.exitcode
    process.close()
    return code, said


def _run(url: str, step: str, moment: str, say: Connection) -> None:
    table_step.LARGE_BYTES = 0  # every table counts as large: its indexes are built ahead
    apply = runner._apply

    def dying(connection: psycopg.Connection, running: Step) -> object:
        if (running.name, moment) == (step, "prepared"):
            os.kill(os.getpid(), signal.SIGKILL)
        done = apply(connection, running)
        if (running.name, moment) == (step, "inside"):
            os.kill(os.getpid(), signal.SIGKILL)
        if (running.name, moment) == (step, "terminated"):
            with psycopg.connect(url) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        return done

    def progress(done: Done) -> None:
        if (done.step, moment) == (step, "after"):
            os.kill(os.getpid(), signal.SIGKILL)

    runner._apply = dying
    try:
        migrate(url, progress)
    except ConfigurationError as error:
        say.send(str(error))
