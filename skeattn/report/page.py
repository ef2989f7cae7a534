"""One HTML file from the content of a report and the files in ``page/``; it needs no network."""

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from skeattn.files import write_text
from skeattn.visualization.clip_player import PLAYER
from skeattn.visualization.mask_player import COLOUR_MAP
from skeattn.visualization.style import COLOURS

FOLDER = Path(__file__).parent / 'page'
SCRIPTS = ('base.js', 'charts.js', 'tables.js', 'confusion.js', 'map.js', 'clips.js', 'main.js')
"""In this order after the player of the pages that play clips."""


MASK_COLOURS = [to_hex(colormaps[COLOUR_MAP](share)) for share in np.linspace(0, 1, 64)]


def write_page(path: str | os.PathLike[str], content: Mapping[str, Any], motions: Sequence[Mapping[str, Any]]) -> None:
    """Write the page, all or nothing.

    Args:
        path: file to write.
        content: the parts of the report.
        motions: of each scene; the page reads one when a clip of it is opened.
    """
    write_text(path, render(content, motions))


def render(content: Mapping[str, Any], motions: Sequence[Mapping[str, Any]]) -> str:
    """The page of :func:`write_page`; texts of the data are never part of its markup or its scripts."""
    sources = [PLAYER, *(FOLDER / name for name in SCRIPTS)]
    script = "'use strict';\n" + ''.join(source.read_text(encoding='utf-8') for source in sources)
    style = (FOLDER / 'report.css').read_text(encoding='utf-8')
    return Template((FOLDER / 'report.html').read_text(encoding='utf-8')).substitute(
        title=html.escape(str(content['title'])),
        policy=f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:",
        style=style,
        script=script,
        data=as_json({**content, 'colours': COLOURS, 'mask_colours': MASK_COLOURS}),
        motions='\n'.join(
            f'<script type="application/json" id="motion-{number}">{as_json(motion)}</script>'
            for number, motion in enumerate(motions)
        ),
    )


def as_json(value: Any) -> str:
    """JSON for a script element, which no text in it can end."""
    text = json.dumps(value, allow_nan=False, separators=(',', ':'), ensure_ascii=True)
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')


def _digest(text: str) -> str:
    """The only script and the only style that the browser accepts, so that no other text can become one."""
    return f'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'
