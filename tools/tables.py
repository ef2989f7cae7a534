"""Print a table of the paper from records: the command ``skeattn tables``, as ``python tools/tables.py``.

Without ``--records`` it reads those of the checkout, from any folder.
"""

from pathlib import Path

from skeattn import cli
from skeattn.commands.tables import main, parser

if __name__ == '__main__':
    cli.start(lambda: parser(Path(__file__).resolve().parent.parent), main)
