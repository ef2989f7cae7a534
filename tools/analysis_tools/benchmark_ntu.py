"""Time the conversion of NTU RGB+D, and a parser in the style of the released codebases for comparison.

    python tools/analysis_tools/benchmark_ntu.py --files 5000

Writes raw files of realistic size (about 0.23 MB each, deleted at the end) and converts them with one process and with
``--jobs`` processes. Each measurement runs in a fresh process, on files dropped from the disk cache if the system
allows it. Prints the extrapolation to the 114,480 files of NTU RGB+D 120. Both parsers give the same packed set, byte
for byte.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('--files', type=int, default=5000, help='number of raw files (5000, about 1.2 GB)')
    top.add_argument('--jobs', type=int, default=1, help='also measure with this number of processes')
    top.add_argument('--folder', help='folder for the files (the temporary folder of the system)')
    top.add_argument('--out', default='work_dirs/benchmark_ntu.json', help='the record')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.benchmark.reference.files import convert_line_by_line
from skeattn.datasets import PackedSet, PackedWriter
from skeattn.datasets.converters import ntu
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.synthetic import generate, write_skeleton_file
from skeattn.errors import DataError
from skeattn.files import write_json
from skeattn.measure import measure
from skeattn.progress import progress
from skeattn.results.provenance import environment

NTU120_FILES, NTU120_CLIPS = 114_480, ntu.PUBLISHED['ntu120']['clips']


def write_raw(folder: Path, files: int) -> int:
    """Clips of the embedded set as raw files; their total size in bytes."""
    folder.mkdir()
    for clip in progress(generate(0, files), 'writing raw files', total=files):
        write_skeleton_file(folder / f'{clip.name}.skeleton', clip.keypoint)
    return sum(file.stat().st_size for file in folder.iterdir())


def drop_from_cache(folder: Path) -> bool:
    """Drop files from the disk cache; False if the system cannot."""
    if not hasattr(os, 'posix_fadvise'):
        return False
    os.sync()  # only written pages can be dropped
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return True


def measure_cold(work: Callable[..., None], raw: Path, *arguments: Any) -> dict[str, float]:
    """Seconds, and peak memory in bytes of the largest process, of one run in a fresh process."""
    drop_from_cache(raw)
    run = measure(work, raw, *arguments)
    return {key: run[key] for key in ('seconds', 'peak_bytes')}


def convert(raw: Path, out: Path, jobs: int) -> None:
    """The toolbox's converter."""
    ntu.convert(raw, out, dataset='ntu60', jobs=jobs)


def seconds_to_open(folder: Path, clips: int) -> float:
    """Open a packed set of this number of clips; they are short, since opening reads none of them."""
    frame = np.ones((1, 1, 25, 3), np.float32)
    with PackedWriter(folder, 'ntu120', 'ntu25', ['a'], SPLITS['ntu120']) as writer:
        for i in range(clips):
            writer.add(f'S{i:019d}', frame, label=0)
    start = time.perf_counter()
    PackedSet.open(folder)
    return time.perf_counter() - start


def benchmark(folder: Path, files: int, jobs: int) -> dict[str, Any]:
    """All figures; files in ``folder`` are not removed."""
    raw = folder / 'raw'
    size = write_raw(raw, files)
    runs = {'line by line, 1 process': measure_cold(convert_line_by_line, raw, folder / 'reference')}
    for count in sorted({1, jobs}):
        runs[f'convert.py ntu, {count} process{"es" if count > 1 else ""}'] = measure_cold(
            convert, raw, folder / f'jobs{count}', count
        )
    hashes = {PackedSet.open(out).manifest['sha256']['frames.npy'] for out in folder.iterdir() if out != raw}
    if len(hashes) != 1:
        raise DataError('the ways to convert disagree: a defect of the toolbox')
    slow = next(iter(runs.values()))['seconds']
    for run in runs.values():
        run |= {'files_per_second': files / run['seconds'], 'times_faster': slow / run['seconds']}
        run['ntu120_seconds'] = NTU120_FILES / run['files_per_second']
    packed = sum(file.stat().st_size for file in (folder / 'jobs1').iterdir())
    return {
        'files': files,
        'raw_bytes': size,
        'packed_bytes': packed,
        'runs': runs,
        'open_seconds': seconds_to_open(folder / 'large', NTU120_CLIPS),
        'from_disk': hasattr(os, 'posix_fadvise'),
        'cores': os.cpu_count(),
        **environment(),
    }


def report(record: dict[str, Any]) -> str:
    """The record as a table and two lines."""
    rows = [
        (
            name,
            f'{run["seconds"]:.1f}',
            f'{run["files_per_second"]:.0f}',
            f'{run["times_faster"]:.1f}',
            f'{run["peak_bytes"] / 1e6:.0f}',
            f'{run["ntu120_seconds"] / 60:.1f}',
        )
        for name, run in record['runs'].items()
    ]
    headers = ('', 'seconds', 'files/s', 'times faster', 'peak MB, largest process', f'min for {NTU120_FILES:,} files')
    megabytes = f'{record["raw_bytes"] / 1e6:.0f} MB raw, {record["packed_bytes"] / 1e6:.0f} MB packed'
    return '\n'.join(
        [
            f'{record["files"]:,} files, {megabytes}; {record["cores"]} cores, {record["hardware"]}',
            tabulate(rows, headers=headers),
            f'PackedSet.open of {NTU120_CLIPS:,} clips: {record["open_seconds"]:.2f} s',
        ]
    )


def main() -> None:
    args = parser().parse_args()
    if args.folder:
        Path(args.folder).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix='benchmark_ntu_', dir=args.folder))
    try:
        record = benchmark(folder, args.files, args.jobs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(args.out, record)
    print(report(record))
    print(f'wrote {args.out}')


if __name__ == '__main__':
    cli.run(main)
