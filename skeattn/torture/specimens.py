"""A small intact file of every kind that the toolbox reads, and what reads it."""

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from skeattn.apis.few_shot import FewShotClassifier
from skeattn.apis.retrieval import Bank, Origin
from skeattn.channels import AXES
from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.datasets import PackedSet, SkeletonDataset, converters, split
from skeattn.datasets.converters.chunks import Chunks
from skeattn.datasets.converters.recordings import Described, read_recordings
from skeattn.datasets.converters.source import Source
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation.features import Features
from skeattn.evaluation.few_shot import FewShotProbe
from skeattn.evaluation.result import Scores
from skeattn.report.content import gather
from skeattn.report.embedding import MapOptions
from skeattn.report.runs import find_runs
from skeattn.results import record
from skeattn.results.record import ProtocolRecord, Record, SourceRecord
from skeattn.results.score_file import ScoreFile
from skeattn.skeletons import get_layout
from skeattn.torture import sources, toy
from skeattn.visualization.curves import read_log

PIPELINE = {'resample': {'type': 'Resample', 'num_frames': 8}, 'pack': {'type': 'PackClip', 'num_persons': 1}}


@dataclass(frozen=True)
class Specimen:
    """Files of a kind.

    Args:
        make: writes them to a folder.
        read: reads them from a folder, which it may write to; returns the content as bytes or plain values.
        checked: whether a checksum covers the files, so that nothing else than the content written may be read.
        cost: seconds that a reading takes, about; expensive ones are read less often.
        needs: package of an extra without which there is no such file.
    """

    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    checked: bool = False
    cost: float = 0.01
    needs: str = ''


def _converted(convert: Callable[..., None], source: str, options: Mapping[str, Any], folder: Path) -> Any:
    """A conversion, and the set that it writes."""
    paths = {key: folder / value if str(value).endswith('.json') else value for key, value in options.items()}
    convert(folder / source, folder / 'out', overwrite=True, **paths)
    return content_of(folder / 'out')


def _read_mixed(folder: Path) -> Any:
    """Clips of each file and of each folder, without a conversion."""
    joints = {'pyskl.pkl': 'coco17'}
    clips = [one for path in sorted(folder.iterdir())
             for one in read_recordings(path, Described(get_layout(joints.get(path.name, 'ntu25')), AXES))]  # fmt: skip
    return [(one.name, one.keypoint.tobytes(), one.layout.name, one.channels, one.label) for one in clips]


def content_of(data: Path) -> Any:
    """Everything that a packed set says of its clips, its files compared with their checksums."""
    packed = PackedSet.open(data)
    packed.verify(again=True)
    sides = [[side.tolist() for side in split(packed, name)] for name in packed.splits]
    frames = hashlib.sha256(b''.join(packed.clip(i).tobytes() for i in range(len(packed)))).hexdigest()
    table = {column: values.tolist() for column, values in packed.table.items()}
    return packed.classes, packed.layout.name, list(packed.channels), sides, frames, table, packed.copies()


def _packed(folder: Path) -> None:
    toy.write_set(folder / 'set')


def _prepared(folder: Path) -> None:
    _packed(folder)
    _read_prepared(folder)


def _read_prepared(folder: Path) -> bytes:
    """A data set through its pipeline; prepared clips are kept beside it, and the choice of a subset."""
    dataset = SkeletonDataset(
        folder / 'set', 'xsub', pipeline=PIPELINE, cache=str(folder / 'cache'), subset={'fraction': 0.5}
    )
    return dataset.clips.numpy().tobytes() + repr(dataset.names).encode()


def _chunks(folder: Path) -> None:
    (folder / 'raw').mkdir()
    sources.nwucla(folder / 'raw')
    (folder / 'kept').mkdir()
    _read_chunks(folder)


def _read_chunks(folder: Path) -> Any:
    """Finished pieces of an interrupted conversion."""
    chunks = Chunks(folder / 'kept', Source(folder / 'raw', '.json'), converters.nwucla.parse)
    found = [outcome for outcomes in chunks.outcomes(1) for outcome in outcomes]
    return [(o.member.rpartition('/')[2], o.reason, o.parsed and (o.parsed[0], o.parsed[1].tobytes(), o.parsed[2]))
            for o in found]  # fmt: skip


def _record(folder: Path) -> None:
    knn = ProtocolRecord(seconds=1.0, selection={'top1': 'fixed'}, curves={'loss': [1.0, 0.5]}, confusion=[[1, 0]])
    source = SourceRecord(streams=['joint'], metrics={'knn/top1': 50.0}, protocols={'knn': knn})
    content = Record(name='a', data='data/toy', split='xsub', stream='joint', seed=0, sources={'backbone': source})
    record.write(folder / 'record.json', content)


def _scores(folder: Path) -> None:
    scores = Scores(torch.arange(6.0).reshape(2, 3), torch.tensor([0, 2]), ['a', 'b'])
    ScoreFile(scores, None, ['x', 'y', 'z'], {'data': 'data/toy', 'split': 'xsub'}).write(folder / 'scores.npz')


def _read_scores(folder: Path) -> Any:
    scores = ScoreFile.read(folder / 'scores.npz')
    return scores.test.scores.numpy().tobytes(), scores.test.labels.tolist(), scores.test.names, scores.classes


def _weights(folder: Path) -> None:
    state = {'encoder.weight': torch.arange(12.0).reshape(3, 4), 'encoder.count': torch.tensor(3)}
    meta = {'epoch': 1, 'method': 'SkeAttnCLR', 'config': {'dataset': {'pipeline': PIPELINE}}}
    write_checkpoint(folder / 'weights.pth', {'meta': meta, 'state_dict': state})


def _read_weights(folder: Path) -> Any:
    state = read_checkpoint(folder / 'weights.pth')['state_dict']
    return [(name, str(value.dtype), tuple(value.shape), value.numpy().tobytes()) for name, value in state.items()]


class _Encoder:
    """Stands for the network of a classifier."""

    checkpoint, identity = 'epoch_1.pth', 'a' * 64

    def features(self, clips: Any, **options: Any) -> Features:
        x = torch.nn.functional.normalize(torch.arange(24.0).reshape(6, 4).sin())
        labels = torch.arange(6) % 2
        return Features(x, labels, labels, [f'clip {i}' for i in range(6)])


_ORIGIN = Origin(_Encoder.identity, _Encoder.checkpoint, 'backbone@mean')


def _classifier(folder: Path) -> None:
    probe = FewShotProbe(
        torch.eye(4, 2).double(), torch.zeros(2).double(), torch.eye(4), 1.0, 0.1, 0.2, 1, {'folds': 5}
    )
    FewShotClassifier(_Encoder(), probe, ['x', 'y'], _ORIGIN).save(folder / 'classifier.npz')


def _read_classifier(folder: Path) -> Any:
    classifier = FewShotClassifier.load(folder / 'classifier.npz', _Encoder())
    predicted = classifier.predict(())
    return predicted.probabilities.tobytes(), predicted.names, classifier.facts, classifier.origin


def _bank(folder: Path) -> None:
    Bank(_Encoder().features(()), ('x', 'y'), _ORIGIN).save(folder / 'bank.npz')


def _read_bank(folder: Path) -> Any:
    bank = Bank.load(folder / 'bank.npz')
    return [list(row) for row in bank.nearest(_Encoder().features(()).x, 2)], bank.classes, bank.origin


def _run(folder: Path) -> None:
    """A work_dir as a kill after the last iteration of the second epoch leaves it."""
    config = toy.write_config(folder / 'toy.py', toy.write_set(folder / 'set'))
    SkeAttnRunner.from_cfg(toy.read(config, folder / 'run')).train()
    run = folder / 'run'
    for path in (run / 'epoch_2.pth', run / 'last_evaluation', *run.glob('*/*.log')):
        path.unlink()
    (run / 'last_checkpoint').write_text('epoch_1_iter_6.pth')


def _resumed(folder: Path) -> Any:
    """The bits at the end of the run, resumed."""
    config = toy.write_config(folder / 'toy.py', folder / 'set')
    SkeAttnRunner.from_cfg(toy.read(config, folder / 'run', resume=True)).train()
    state = read_checkpoint(folder / 'run/epoch_2.pth')['state_dict']
    return hashlib.sha256(b''.join(value.numpy().tobytes() for value in state.values())).hexdigest()


def _read_report(folder: Path) -> Any:
    """The content of the page on a run."""
    content, _ = gather(find_runs([folder / 'run']), MapOptions(method='pca', limit=12))
    return repr(content)


def _config(folder: Path) -> None:
    toy.write_config(folder / 'toy.py', folder / 'set')


def _curves(folder: Path) -> None:
    (folder / 'now/vis_data').mkdir(parents=True)
    lines = [{'lr': 0.1, 'loss': 2.0 / step, 'iter': step, 'epoch': 1, 'step': step} for step in (1, 2)]
    lines.append({'knn/top1': 50.0, 'step': 1})
    (folder / 'now/vis_data/scalars.json').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))


def _read_layout(folder: Path) -> Any:
    return converters.clips.read_layout(folder / 'layout.json').joints


def _format(make: Callable[[Path], Any], module: Any, source: str = '', needs: str = '', **options: Any) -> Specimen:
    return Specimen(make, partial(_converted, module.convert, source, options), needs=needs)


SPECIMENS: dict[str, Specimen] = {
    'ntu': _format(sources.ntu, converters.ntu, jobs=1),
    'ntu in a zip archive': _format(partial(sources.zipped, sources.ntu), converters.ntu, 'raw.zip', jobs=1),
    'pkummd': _format(sources.pkummd, converters.pkummd, jobs=1),
    'nwucla': _format(sources.nwucla, converters.nwucla, jobs=1),
    'utdmhad': _format(sources.utdmhad, converters.utdmhad, jobs=1),
    'msraction3d': _format(sources.msraction3d, converters.msraction3d, jobs=1),
    'kard': _format(sources.kard, converters.kard, jobs=1),
    'sbu': _format(sources.sbu, converters.sbu, jobs=1),
    'florence3d': _format(sources.florence3d, converters.florence3d),
    'utkinect': _format(sources.utkinect, converters.utkinect),
    'msrc12': _format(sources.msrc12, converters.msrc12),
    'pyskl': _format(sources.pyskl, converters.pyskl, 'data.pkl', layout='coco17'),
    'stgcn_arrays': _format(sources.stgcn_arrays, converters.stgcn_arrays),
    'ctrgcn': _format(sources.ctrgcn, converters.ctrgcn, 'data.npz'),
    'plain': _format(sources.plain, converters.plain, 'raw', layout='layout.json'),
    'openpose': _format(sources.openpose, converters.openpose),
    'alphapose': _format(sources.alphapose, converters.alphapose),
    'mediapipe': _format(sources.mediapipe, converters.mediapipe),
    'mmpose': _format(sources.mmpose, converters.mmpose),
    'coco': _format(sources.coco, converters.coco, 'raw', images='images.json'),
    'kinetics': _format(sources.kinetics, converters.kinetics),
    'bvh': _format(sources.bvh, converters.bvh),
    'c3d': _format(sources.c3d, converters.c3d, 'raw', needs='c3d', layout='layout.json'),
    'sleap': _format(sources.sleap, converters.sleap, needs='h5py'),
    'deeplabcut': _format(sources.deeplabcut, converters.deeplabcut, 'raw', layout='layout.json'),
    'raw files': Specimen(sources.mixed, _read_mixed),
    'layout': Specimen(sources.layout, _read_layout),
    'packed set': Specimen(_packed, lambda folder: content_of(folder / 'set'), checked=True),
    'prepared clips': Specimen(_prepared, _read_prepared, checked=True, cost=0.03),
    'interrupted conversion': Specimen(_chunks, _read_chunks),
    'weights': Specimen(_weights, _read_weights, checked=True),
    'work_dir': Specimen(_run, _resumed, checked=True, cost=0.6),
    'report': Specimen(_run, _read_report, cost=0.6),
    'record': Specimen(_record, lambda folder: record.read(folder / 'record.json')),
    'class scores': Specimen(_scores, _read_scores, checked=True),
    'few-shot classifier': Specimen(_classifier, _read_classifier, checked=True),
    'bank of clips': Specimen(_bank, _read_bank, checked=True),
    'config': Specimen(_config, lambda folder: resolve_config(read_config(folder / 'toy.py')).pretty_text, cost=0.05),
    'curves': Specimen(_curves, lambda folder: read_log(folder)),
}


def absent() -> tuple[str, ...]:
    """The names of the specimens whose packages are not installed."""
    return tuple(name for name, one in SPECIMENS.items() if one.needs and not importlib.util.find_spec(one.needs))


def copy(source: Path, target: Path) -> None:
    """A fresh copy of the files of a specimen."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
