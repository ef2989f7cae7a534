"""Measure the repetition in configs: python tools/analysis_tools/config_repeats.py

The count includes lines that set a value. It excludes blank lines, docstrings and comments; statements on ``_base_``,
which declare inheritance; lines that only open or close a bracket, such as ``model = dict(`` and ``),``. A line is a
repeat if the same text, without indentation and comments, has been counted before in any file.
"""

import argparse
import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from skeattn import cli
from skeattn.errors import ConfigError

BRACKETS = re.compile(r'(\w+ ?= ?)?(dict)?[\[\](){},]*')


def set_lines(text: str) -> Iterator[str]:
    """The counted lines of a config, stripped."""
    skipped: set[int] = set()
    for place, statement in enumerate(ast.parse(text).body):
        docstring = place == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if docstring or ast.unparse(statement).startswith('_base_'):
            skipped.update(range(statement.lineno, statement.end_lineno + 1))
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for number, line in enumerate(lines, start=1):
        if number not in skipped and not BRACKETS.fullmatch(line.strip()):
            yield line.strip()


def count_lines(folder: Path) -> Counter[str]:
    """Line -> number of its occurrences in the configs of a folder.

    Raises:
        ConfigError: there is no line to count.
    """
    counts = Counter(line for path in sorted(folder.rglob('*.py')) for line in set_lines(path.read_text()))
    if not counts:
        raise ConfigError(f'{folder} holds no configs that set values; give a folder of configs')
    return counts


def share_of_repeats(counts: Counter[str]) -> float:
    """Share of repeats among the lines, in percent."""
    return 100 * (1 - len(counts) / counts.total())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('folder', nargs='?', type=Path, default=Path('configs'))
    top.add_argument('--top', type=int, default=10, help='number of most repeated lines to print (10)')
    return top


def main() -> None:
    args = parser().parse_args()
    counts = count_lines(args.folder)
    print(f'{share_of_repeats(counts):.1f} % of {counts.total()} lines are repeats')
    for line, times in counts.most_common(args.top):
        if times > 1:
            print(f'{times:4d} x  {line}')


if __name__ == '__main__':
    cli.run(main)
