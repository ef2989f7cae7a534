"""How tools end, with the heavy packages that each loads: ``python -m tests.tools.starting TOOL… -- ARGUMENT…``

All tools run in this one process, which imports nothing heavy itself; prints JSON, tool -> argument -> end.
"""

import contextlib
import io
import json
import runpy
import sys
from typing import Any

HEAVY = ('torch', 'mmengine', 'mmcv', 'cv2', 'matplotlib', 'scipy')


def end(tool: str, argument: str) -> dict[str, Any]:
    """Status, output and newly loaded packages of a tool with one argument."""
    before, out, err = {*sys.modules}, io.StringIO(), io.StringIO()
    sys.argv, status = [tool, argument], None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(tool, run_name='__main__')
        except SystemExit as ended:
            status = ended.code
    loaded = [name for name in HEAVY if name in {*sys.modules} - before]
    return {'status': status, 'out': out.getvalue(), 'err': err.getvalue(), 'loaded': loaded}


if __name__ == '__main__':
    arguments = sys.argv[1:]
    at = arguments.index('--')
    print(json.dumps({tool: {one: end(tool, one) for one in arguments[at + 1 :]} for tool in arguments[:at]}))
