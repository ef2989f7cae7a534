"""Data of one's own: a folder of .npy, .csv or .json clips and a table labels.csv with a row for each

The table has a header. It must have ``name`` (the clip's file, without its suffix) and ``label`` (a number or a class
name); it may have ``subject``, ``camera``, ``setup``, ``replication`` (integers) and ``split`` or ``split_NAME``
(train, test or val, or empty). A clip is an array ``(T, V, C)``, ``(M, T, V, C)`` or, a frame a row,
``(T, M * V * C)``, person by person and joint by joint; a ``.csv`` holds such rows, with or without a header; a
``.json`` nested lists, or ``{"keypoint": ..., "keypoint_score": ...}``.
"""

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.clips import (
    TESTS,
    TRAINS,
    Read,
    Table,
    absent,
    add_clips,
    parse_channels,
    read_classes,
    read_layout,
    unflatten,
)
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.packed import COLUMNS, FIELDS, PackedWriter
from skeattn.errors import DataError
from skeattn.skeletons import SkeletonLayout

SUFFIXES = ('.npy', '.csv', '.json')
_SIDES = {'train': TRAINS, 'test': TESTS, 'val': TESTS}
_GIVEN = tuple(column for column in FIELDS if column != 'label')
_RESERVED = (*COLUMNS, 'file', 'allow_pickle')


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | os.PathLike[str] | SkeletonLayout,
    labels: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    channels: str | Sequence[str] | None = None,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the clips that the table names, in its order.

    Args:
        source: the folder, searched through; a clip in a folder within it is called ``folder/clip``.
        out: the packed set's folder.
        layout: the skeleton, by name or as a ``.json`` file that defines it.
        labels: the table, where it is not ``labels.csv`` in the folder.
        classes: text file with one class a line, in the order of the labels; by default the class names of the table,
            sorted, or numbers.
        channels: what the values of a joint are, as ``'x,y,score'``; by default told by their number, and x, y, z for
            rows of numbers.
        persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
        strict: stop at the first unusable clip or row.
        overwrite: replace a set at ``out``.

    Raises:
        DataError: the folder or the table is missing or of another form, no clip is usable, or with ``strict`` one is
            not.
        ConfigError: unknown layout or channels.
    """
    choice = Choice(persons, max_persons)
    source, skeleton, named = Path(source), read_layout(layout), parse_channels(channels)
    path = source / 'labels.csv' if labels is None else Path(labels)
    if not source.is_dir():
        raise DataError(f'{source} is no folder with clips')
    rows = read_table(path)
    named_classes = number_labels(rows, None if classes is None else read_classes(classes))
    sides: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        for split, side in row.sides.items():
            sides[split][row.name] = side
    table = Table([row.name for row in rows], [row.columns['label'] for row in rows], sides)
    own = sorted({column for row in rows for column in row.columns if column not in FIELDS})
    files = _files(source, {path.resolve(), Path(str(layout)).resolve()})
    clips = [
        *_listed(rows, files, partial(parse, V=skeleton.num_joints, channels=named), table),
        *_unlisted(files, rows, path),
    ]
    names, columns, dataset = named_classes or table.class_names(), [*table.columns, *own], Path(out).name
    with PackedWriter(out, dataset, skeleton, names, table.splits(), overwrite, named, columns) as writer:
        add_clips(writer, str(source), clips, len(clips), choice, strict=strict)


def parse(path: str, content: bytes, V: int, channels: Sequence[str] | None = None) -> np.ndarray:
    """The keypoint ``(M, T, V, C)`` of one file.

    Args:
        path: for messages and, by its suffix, the format.
        content: of the file.
        V: number of joints.
        channels: what the values of a joint are; where it is None, rows of numbers hold x, y, z.

    Raises:
        DataError: the content is not of its format, or of another shape.
    """
    try:
        array = {'.npy': _from_npy, '.csv': _from_csv, '.json': _from_json}[Path(path).suffix](content)
        if array.dtype.kind not in 'fiu':
            raise DataError(f'it holds {array.dtype}, not numbers')
        if array.ndim == 2:
            return unflatten(array, V, len(channels or AXES))
        if array.ndim not in (3, 4):
            raise DataError(f'the shape {array.shape} is not (T, V, C), (M, T, V, C) or (T, M * V * C)')
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    return array[None] if array.ndim == 3 else array


def _from_npy(content: bytes) -> np.ndarray:
    try:
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except Exception as error:  # a damaged header fails in many ways
        raise DataError(f'it is no .npy array, or a damaged or truncated one ({error})') from error


def _from_json(content: bytes) -> np.ndarray:
    try:
        value = json.loads(content)
        if not isinstance(value, dict):
            return np.array(value)
        keypoint, score = np.array(value['keypoint']), value.get('keypoint_score')
        return keypoint if score is None else np.concatenate([keypoint, np.array(score)[..., None]], axis=-1)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, MemoryError) as error:
        wanted = 'nested lists of numbers of one length each, or such a "keypoint"'
        raise DataError(f'it is no JSON of {wanted} ({error!r:.200})') from error


def _from_csv(content: bytes) -> np.ndarray:
    lines = _lines(content)
    rows: list[list[float]] = []
    for number, tokens in lines:
        values = [_number(token) for token in tokens]
        if not rows and number == lines[0][0] and len(lines) > 1 and not any(isinstance(v, float) for v in values):
            continue  # the header
        if None in values:
            column = values.index(None)
            raise DataError(f'row {number}, column {column + 1}: {tokens[column]!a:.30} is no number')
        if rows and len(values) != len(rows[0]):
            raise DataError(f'row {number} has {len(values)} values, those before have {len(rows[0])}')
        rows.append(values)  # type: ignore[arg-type]
    return np.array(rows, ndmin=2)


def _number(token: str) -> float | None:
    try:
        return None if '_' in token else float(token)
    except ValueError:
        return None


def _lines(content: bytes) -> list[tuple[int, list[str]]]:
    """(row number, values) of separated text; the separator is the comma, semicolon or tab of the first line."""
    try:
        text = content.decode('utf-8-sig')
        separator = max(',;\t', key=text.split('\n', 1)[0].count)
        reader = csv.reader(io.StringIO(text, newline=''), delimiter=separator, skipinitialspace=True)
        lines = [(reader.line_num, values) for values in reader if values]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f'it is no text of separated values ({error})') from error
    if not lines:
        raise DataError('it is empty')
    return lines


@dataclass
class Row:
    """A row of the table.

    Args:
        number: its place in the file, from 1.
        name, label: as written.
        columns: integers by column.
        sides: ``{split: TRAINS or TESTS}``.
        wrong: what is wrong with it, if anything.
    """

    number: int
    name: str
    label: str
    columns: dict[str, int] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    wrong: str = ''


def read_table(path: Path) -> list[Row]:
    """The rows of the table of labels.

    Raises:
        DataError: the file is missing, no text, has no rows, or lacks a column or has it twice.
    """
    try:
        (_, header), *lines = _lines(path.read_bytes())
    except OSError as error:
        raise DataError(f'{path} cannot be read; it should be a table with the columns name and label') from error
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    header = [column.strip() for column in header]
    found = ', '.join(header)
    if missing := [column for column in ('name', 'label') if column not in header]:
        raise DataError(f'{path} has no column {" nor ".join(missing)}; its first row is {found!a:.200}')
    if len(set(header)) < len(header) or not all(column.isprintable() and column for column in header):
        raise DataError(f'{path}: its first row should name each column once, and is {found!a:.200}')
    if not lines:
        raise DataError(f'{path} has no rows below its header')
    return [_row(number, header, values) for number, values in lines]


def _row(number: int, header: list[str], values: list[str]) -> Row:
    if len(values) != len(header):
        return Row(number, f'row {number}', '', wrong=f'it has {len(values)} values for {len(header)} columns')
    stripped = (value.strip() for value in values)
    given = dict(zip(header, stripped, strict=True))
    row = Row(number, given.pop('name'), given.pop('label'))
    if not row.name or not row.name.isprintable():
        return Row(number, f'row {number}', '', wrong=f'{row.name!a:.60} is no name')
    if not row.label or not row.label.isprintable():
        row.wrong = f'label {row.label!a:.60} is no class'
    for column, value in given.items():
        if not value:
            continue
        if column == 'split' or column.startswith('split_'):
            if value in _SIDES:
                row.sides[column.removeprefix('split_')] = _SIDES[value]
            else:
                row.wrong = f'{column}={value!a:.60} is none of {", ".join(_SIDES)}'
        elif (whole := _integer(value)) is not None and (column in FIELDS or column not in _RESERVED):
            row.columns[column] = whole
        elif column in FIELDS:
            row.wrong = f'{column}={value!a:.60} is no whole number'
    return row


def _integer(text: str) -> int | None:
    return int(text) if len(text) < 18 and text.removeprefix('-').isdecimal() else None


def number_labels(rows: list[Row], classes: list[str] | None) -> list[str]:
    """Write each row's label as a number, or what is wrong with it; the classes, none where labels are numbers.

    Args:
        rows: of the table.
        classes: in the order of the labels. Where it is None, labels are all numbers or all names, as the first is, and
            the classes are those names, sorted.
    """
    first = next((row for row in rows if row.label and not row.wrong), None)
    by_number, place = first is not None and _integer(first.label) is not None, first and first.number
    names = classes or sorted({row.label for row in rows if not row.wrong and _integer(row.label) is None})
    numbers = {name: number for number, name in enumerate(names)}
    for row in rows:
        label = _integer(row.label)
        if classes is None and by_number == (label is None):
            kinds = ('a name', 'a number') if by_number else ('a number', 'a name')
            row.wrong = row.wrong or f'label {row.label!a:.60} is {kinds[0]}, that of row {place} {kinds[1]}'
        elif label is None and row.label not in numbers:
            row.wrong = row.wrong or f'label {row.label!a:.60} is none of the classes'
        row.columns['label'] = -1 if row.wrong else numbers.get(row.label, -1 if label is None else label)
    return [] if classes is None and by_number else names


def _files(source: Path, others: set[Path]) -> dict[str, list[Path]]:
    """The clips' files by name, without suffix and with."""
    files = defaultdict(list)
    for path in sorted(source.rglob('*')):
        inner = path.relative_to(source)
        if (
            path.suffix in SUFFIXES
            and path.is_file()
            and path.resolve() not in others
            and not inner.name.startswith('.')
        ):
            files[inner.with_suffix('').as_posix()].append(path)
            files[inner.as_posix()].append(path)
    return files


def _listed(rows: list[Row], files: dict[str, list[Path]], parse: Any, table: Table) -> Iterator[tuple[str, str, Read]]:
    def read(i: int) -> tuple[np.ndarray, dict[str, int]]:
        row, found = rows[i], files.get(rows[i].name, [])
        if row.wrong:
            raise DataError(row.wrong)
        if not found:
            raise DataError(f'there is no file {row.name}{", ".join(SUFFIXES)}')
        if len(found) > 1:
            raise DataError(f'{row.name} is one of several files: {", ".join(path.name for path in found)}')
        try:
            content = found[0].read_bytes()
        except OSError as error:
            raise DataError(f'{found[0]} cannot be read ({error})') from error
        return parse(str(found[0]), content), {**table.row(i), **row.columns}

    return ((row.name, f'row {row.number} of the table', partial(read, i)) for i, row in enumerate(rows))


def _unlisted(files: dict[str, list[Path]], rows: list[Row], table: Path) -> Iterator[tuple[str, str, Read]]:
    named = {path for row in rows for path in files.get(row.name, [])}
    others = sorted({path for paths in files.values() for path in paths} - named)
    return ((path.stem, path.name, partial(absent, f'no row of {table} names it')) for path in others)
