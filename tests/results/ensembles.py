"""Score files and records of the streams of an ensemble."""

from pathlib import Path

from skeattn.files import sha256
from skeattn.results.record import ProtocolRecord, Record, SourceRecord, write
from skeattn.results.score_file import ScoreFile
from tests.evaluation.streams import CLASSES, permuted, stream

FACTS = {
    'data': 'data/toy', 'manifest_sha256': 'ab12', 'split': 'xsub', 'checkpoint_sha256': 'c', 'name': 'Method',
    'protocol': 'linear',
}  # fmt: skip
STREAMS = ('joint', 'bone', 'motion')


def write_part(folder: Path, name: str, seed: int, heldout: bool = True, classes=CLASSES, **facts) -> Path:
    held = stream(seed + 100, N=18, prefix='held') if heldout else None
    path = folder / f'{name}.npz'
    ScoreFile(permuted(stream(seed), seed), held, classes, {**FACTS, 'stream': name, **facts}).write(path)
    return path


def write_record(folder: Path, name: str, seed: int, **facts) -> Path:
    scores = write_part(folder, name, seed, **facts)
    result = ProtocolRecord(scores=scores.name, scores_sha256=sha256(scores))
    protocols = {'linear': result, 'knn': ProtocolRecord()}
    source = SourceRecord(streams=[name], metrics={}, protocols=protocols, parameters=7, gmacs=2)
    record = Record(
        name='Method', data='data/toy', split='xsub', stream=name, seed=3, checkpoint='a.pth',
        protocols={'linear': {'lr': 3}}, sources={'backbone': source},
    )  # fmt: skip
    write(folder / f'test_{name}.json', record)
    return folder / f'test_{name}.json'
