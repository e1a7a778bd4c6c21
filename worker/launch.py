"""Celery's command line with our app: `python -P -m worker.launch worker` is `celery -A worker.app worker`.

Only the import path differs. Celery puts the current directory first, where a bot's own `tasks.py` would take the place
of our package; here it comes last, for modules that ONELANE_TASKS names.
"""

import os
import sys


def main() -> None:
    """Run a command of Celery's; its arguments are ours."""
    sys.path.append(os.getcwd())  # noqa: PTH109 - a string is wanted
    from worker.app import app  # noqa: PLC0415 - it imports what ONELANE_TASKS names

    app.start(sys.argv[1:])


if __name__ == "__main__":
    main()
