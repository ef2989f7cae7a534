"""What every command line tool shares: how an error that the user can cure is shown."""

import sys
from collections.abc import Callable

from skeattn.errors import SkeAttnError


def run(main: Callable[[], int | None]) -> None:
    """Run a tool's ``main`` and leave the process with its exit status (None counts as 0).

    A :class:`~skeattn.errors.SkeAttnError` is printed without a traceback and ends in status 2, an interrupt in 130.
    Anything else is a defect of the toolbox and keeps its traceback.
    """
    try:
        status = main()
    except SkeAttnError as error:
        print(f'error: {error}', file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        status = 130
    sys.exit(status or 0)
