"""Labels beside the clips: a table with a row a clip, or a .npy array in the order of the clips' names."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from skeattn.datasets.converters.clips import TESTS, TRAINS
from skeattn.datasets.packed import COLUMNS, FIELDS, UNLABELLED
from skeattn.errors import DataError
from skeattn.reading import parse_array

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_LABEL = ('', 'nan', '-1')
_SIDES = {'train': TRAINS, 'test': TESTS, 'val': TESTS}
_SIDE_WORDS = {**_SIDES, 'training': TRAINS, 'testing': TESTS, 'valid': TESTS, 'validation': TESTS}
_COMMA_NUMBER = re.compile(r'(?:[-+]?\d*(?:[.,]\d*)?(?:[eE][-+]?\d+)?)')
_RESERVED = (*COLUMNS, 'file', 'allow_pickle')


@dataclass
class Row:
    """A row of the table.

    Args:
        number: its place in the file, from 1.
        name, label: as written; an empty label is that of an unlabelled clip.
        columns: integers by column.
        sides: ``{split: TRAINS or TESTS}``.
        wrong: the fault of the row, if it has one.
        where: the row for messages; the file of the clip where there is no table.
    """

    number: int
    name: str
    label: str
    columns: dict[str, int] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    wrong: str = ''
    where: str = ''

    def __post_init__(self) -> None:
        self.where = self.where or f'row {self.number} of the table'


def lines_of(content: bytes) -> list[tuple[int, list[str]]]:
    """(row number, values) of separated text.

    The separator is the comma, semicolon or tab that the first line has most of; a text without any is split at blanks.
    Where commas do not separate, a comma in a number is its decimal point. The text is UTF-8, or UTF-16 with its mark.

    Raises:
        DataError: it is no text, or empty.
    """
    try:
        text = content.decode('utf-16' if content.startswith(_UTF16) else 'utf-8-sig')
        first = text.lstrip('\r\n').split('\n', 1)[0]
        separator = _separator(first)
        if not first.count(separator):
            lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        else:
            reader = csv.reader(io.StringIO(text, newline=''), delimiter=separator, skipinitialspace=separator != '\t')
            lines = [(reader.line_num, values) for values in reader if values]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f'it is no text of separated values ({error})') from error
    if not lines:
        raise DataError('it is empty')
    return lines


def _separator(line: str) -> str:
    """The separator that a line has most of, unless a different one leaves only numbers with decimal commas."""
    for separator in ';\t':
        cells = [cell.strip() for cell in line.split(separator)]
        if len(cells) > 1 and all(_COMMA_NUMBER.fullmatch(cell) for cell in cells):
            return separator
    return max(',;\t', key=line.count)


def read_table(path: str, content: bytes) -> list[Row]:
    """The rows of a table of labels.

    Raises:
        DataError: the file is no text, has no rows, or lacks a column or has it twice.
    """
    try:
        (_, header), *lines = lines_of(content)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    header = [column.strip() for column in header]
    header = [column.lower() if column.lower() in ('name', 'label', *FIELDS) else column for column in header]
    header = [column.lower() if column.lower().startswith('split') else column for column in header]
    first = ', '.join(header)
    if missing := [column for column in ('name', 'label') if column not in header]:
        raise DataError(f'{path} has no column {" nor ".join(missing)}; its first row is {first!a:.200}')
    if len(set(header)) < len(header) or not all(column.isprintable() and column for column in header):
        raise DataError(f'{path}: its first row should name each column once, and is {first!a:.200}')
    if not lines:
        raise DataError(f'{path} has no rows below its header')
    return [_row(number, header, values) for number, values in lines]


def read_array(path: str, content: bytes, names: Sequence[str]) -> list[Row]:
    """A row for each clip of an array of labels, or of pairs of name and label.

    Args:
        path: for messages.
        content: of the ``.npy`` file: ``(N,)`` numbers or class names in the order of the clips' names, or ``(N, 2)``
            names and labels.
        names: of the clips, sorted.

    Raises:
        DataError: it is no such array, or has another number of labels than there are clips.
    """
    try:
        array = parse_array(content)
    except ValueError as error:
        raise DataError(f'{path} is no .npy array, or a damaged or pickled one ({error})') from error
    if array.ndim == 2 and array.shape[1] == 2 and array.dtype.kind == 'U':
        return [_row(i + 1, ['name', 'label'], [str(name), str(label)]) for i, (name, label) in enumerate(array)]
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1 or array.dtype.kind not in 'iufUb':
        raise DataError(f'{path} holds {array.dtype} {array.shape}, not a label for each clip')
    if len(array) != len(names):
        raise DataError(
            f'{path} holds {len(array)} labels, but there are {len(names)} clips; it should have one for each clip, '
            'in the order of their names'
        )
    labels = array.astype(int) if array.dtype.kind == 'b' else array
    return [_row(i + 1, ['name', 'label'], [name, str(labels[i])]) for i, name in enumerate(names)]


def unlabelled(names: Sequence[str], files: Sequence[str]) -> list[Row]:
    """A row without a label for each clip; ``files`` are the clips' for messages."""
    return [Row(i, name, '', where=file) for i, (name, file) in enumerate(zip(names, files, strict=True), 1)]


def _row(number: int, header: list[str], values: list[str]) -> Row:
    if len(values) != len(header):
        return Row(number, f'row {number}', '', wrong=f'it has {len(values)} values for {len(header)} columns')
    stripped = (value.strip() for value in values)
    cells = dict(zip(header, stripped, strict=True))
    row = Row(number, cells.pop('name').replace('\\', '/'), cells.pop('label'))
    row.name = str(PurePath(row.name).as_posix()) if row.name.startswith('./') else row.name
    if not row.name or not row.name.isprintable():
        return Row(number, f'row {number}', '', wrong=f'{row.name!a:.60} is no name')
    if not row.label.isprintable():
        row.wrong = f'label {row.label!a:.60} is no class'
    if row.label.lower() in _NO_LABEL:
        row.label = ''
    for column, value in cells.items():
        if not value:
            continue
        if column == 'split' or column.startswith('split_'):
            if value.lower() in _SIDE_WORDS:
                row.sides[column.removeprefix('split_')] = _SIDE_WORDS[value.lower()]
            else:
                row.wrong = f'{column}={value!a:.60} is none of {", ".join(_SIDES)}'
        elif (whole := integer(value)) is not None and (column in FIELDS or column not in _RESERVED):
            row.columns[column] = whole
        elif column in FIELDS:
            row.wrong = f'{column}={value!a:.60} is no whole number'
    return row


def integer(text: str) -> int | None:
    """A whole number, also one written as ``3.0``; None for anything else."""
    whole, _, zeros = text.partition('.')
    if zeros.strip('0') or len(whole) >= 18 or not whole.removeprefix('-').isdecimal():
        return None
    return int(whole)


def number_labels(rows: list[Row], classes: list[str] | None) -> list[str]:
    """Write each row's label as a number, or the fault of it; the classes, none where labels are numbers.

    Args:
        rows: of the table; one without a label becomes :data:`UNLABELLED`.
        classes: in the order of the labels. Where it is None, labels are all numbers or all names, as the first is, and
            the classes are those names, sorted.
    """
    first = next((row for row in rows if row.label and not row.wrong), None)
    by_number, place = first is not None and integer(first.label) is not None, first and first.number
    names = classes or sorted({row.label for row in rows if row.label and not row.wrong and integer(row.label) is None})
    numbers = {name: number for number, name in enumerate(names)}
    for row in rows:
        label = integer(row.label)
        if row.label and classes is None and by_number == (label is None):
            kinds = ('a name', 'a number') if by_number else ('a number', 'a name')
            row.wrong = row.wrong or f'label {row.label!a:.60} is {kinds[0]}, that of row {place} {kinds[1]}'
        elif row.label and label is None and row.label not in numbers:
            row.wrong = row.wrong or f'label {row.label!a:.60} is none of the classes'
        elif label is not None and label < 0:
            row.wrong = row.wrong or f'label {row.label!a:.60} is no class'
        row.columns['label'] = (
            UNLABELLED if row.wrong else numbers.get(row.label, UNLABELLED if label is None else label)
        )
    return [] if classes is None and by_number else names
