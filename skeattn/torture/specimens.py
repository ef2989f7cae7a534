"""A small intact file of every kind that the toolbox reads, and what reads it."""

import hashlib
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import savemat

from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.datasets import PackedSet, SkeletonDataset, converters, split
from skeattn.datasets.converters.chunks import Chunks
from skeattn.datasets.converters.source import Source
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation.result import Scores
from skeattn.results import record
from skeattn.results.record import ProtocolRecord, Record, SourceRecord
from skeattn.results.score_file import ScoreFile
from skeattn.torture import toy
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
    """

    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    checked: bool = False
    cost: float = 0.01


def _clip(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return (0.5 + np.random.default_rng(seed).random(shape)).round(4).astype(np.float32)


def _ntu(folder: Path) -> None:
    for name in ('S001C001P001R001A001', 'S001C002P003R002A050'):
        lines = ['4']
        for frame in _clip(len(name), (4, 25, 3)):
            lines += ['1', '72057594037931101 0 1 1 1 1 0 0.01 -0.3 2', '25']
            lines += [f'{x:.7g} {y:.7g} {z:.7g} 256.4 201.8 991.1 511.1 -0.2 0.01 0.9 -0.05 2' for x, y, z in frame]
        (folder / f'{name}.skeleton').write_text('\n'.join(lines) + '\n')


def _zipped(make: Callable[[Path], Any], folder: Path) -> None:
    make(folder)
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    with zipfile.ZipFile(folder / 'raw.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(folder).as_posix())
            file.unlink()


def _pkummd(folder: Path) -> None:
    for seed, name in enumerate(('0002-L', '0003-R')):
        video = _clip(seed, (12, 150))
        text = '\n'.join(' '.join(f'{value:.7g}' for value in row) for row in video) + '\n'
        for part, content in (('Skeleton', text), ('Label', '8,3,9,2\n51,2,12,1\n')):
            (folder / part).mkdir(exist_ok=True)
            (folder / part / f'{name}.txt').write_text(content)
    (folder / 'Split').mkdir()
    for name in ('cross-subject', 'cross-view'):
        (folder / f'Split/{name}.txt').write_text('Training videos:\n0002-L\nValidation videos:\n0003-R\n')


def _nwucla(folder: Path) -> None:
    for name in ('a01_s01_e00_v01', 'a02_s02_e01_v03'):
        (folder / f'{name}.json').write_text(json.dumps({'skeletons': _clip(1, (3, 20, 3)).tolist()}))


def _utdmhad(folder: Path) -> None:
    for number in (1, 2):
        savemat(folder / f'a{number}_s1_t1_skeleton.mat', {'d_skel': _clip(number, (20, 3, 5)).astype(float)},
                do_compression=number == 2)  # fmt: skip


def _pyskl(folder: Path) -> None:
    clips = [
        {'frame_dir': f'clip{i}', 'label': i % 2, 'img_shape': (1080, 1920), 'original_shape': (1080, 1920),
         'total_frames': 4, 'keypoint': _clip(i, (1, 4, 17, 2)) * 500, 'keypoint_score': _clip(i, (1, 4, 17)) / 2}
        for i in range(3)
    ]  # fmt: skip
    names = [clip['frame_dir'] for clip in clips]
    content = {'split': {'xsub_train': names[:2], 'xsub_val': names[2:]}, 'annotations': clips}
    (folder / 'data.pkl').write_bytes(pickle.dumps(content, 4))


def _stgcn_arrays(folder: Path) -> None:
    for seed, side in enumerate(('train', 'val')):
        np.save(folder / f'{side}_data_joint.npy', _clip(seed, (3, 3, 4, 25, 2)))
        names = [f'S001C001P00{seed + 1}R{i:03d}A{i + 1:03d}.skeleton' for i in range(3)]
        (folder / f'{side}_label.pkl').write_bytes(pickle.dumps((names, [0, 1, 2])))


def _ctrgcn(folder: Path) -> None:
    arrays = {f'x_{side}': _clip(seed, (3, 4, 150)) for seed, side in enumerate(('train', 'test'))}
    arrays |= {'y_train': np.eye(3), 'y_test': np.eye(3)}
    np.savez(folder / 'data.npz', **arrays)  # type: ignore[arg-type]


def _layout(folder: Path) -> None:
    joints = ['hip', 'spine', 'neck', 'left', 'right', 'head']
    content = {'name': 'torture6', 'joints': joints, 'parents': ['hip', 'hip', 'spine', 'neck', 'neck', 'neck'],
               'mirror': [['left', 'right']], 'parts': {'trunk': joints[:3], 'rest': joints[3:]}, 'hip': 'hip',
               'spine': ['hip', 'neck'], 'shoulders': ['left', 'right']}  # fmt: skip
    (folder / 'layout.json').write_text(json.dumps(content))


def _plain(folder: Path) -> None:
    _layout(folder)
    (folder / 'raw').mkdir()
    np.save(folder / 'raw/a.npy', _clip(0, (4, 6, 3)))
    rows = _clip(1, (4, 18))
    (folder / 'raw/b.csv').write_text('\n'.join(','.join(f'{value:.4f}' for value in row) for row in rows))
    (folder / 'raw/c.json').write_text(json.dumps({'keypoint': _clip(2, (1, 4, 6, 3)).tolist()}))
    (folder / 'raw/labels.csv').write_text('name,label,subject,split\na,walk,1,train\nb,run,2,test\nc,walk,2,test\n')


def _openpose(folder: Path) -> None:
    for frame in range(3):
        person = {'person_id': [-1], 'pose_keypoints_2d': _clip(frame, (75,)).tolist()}
        path = folder / f'clip_{frame:012d}_keypoints.json'
        path.write_text(json.dumps({'version': 1.3, 'people': [person]}))
    (folder / 'labels.csv').write_text('name,label\nclip,0\n')


def _alphapose(folder: Path) -> None:
    found = [
        {'image_id': f'{frame}.jpg', 'keypoints': _clip(frame, (51,)).tolist(), 'score': 2.5, 'idx': 1}
        for frame in range(3)
    ]
    (folder / 'clip.json').write_text(json.dumps(found))
    (folder / 'labels.csv').write_text('name,label\nclip,0\n')


def _mediapipe(folder: Path) -> None:
    frames = [[dict(zip(('x', 'y', 'z', 'visibility'), map(float, joint), strict=True)) for joint in _clip(t, (33, 4))]
              for t in range(3)]  # fmt: skip
    (folder / 'clip.json').write_text(json.dumps({'frames': frames}))
    (folder / 'labels.csv').write_text('name,label\nclip,0\n')


def _kinetics(folder: Path) -> None:
    person = {'pose': _clip(0, (36,)).tolist(), 'score': _clip(1, (18,)).tolist()}
    frames = [{'frame_index': t + 1, 'skeleton': [person]} for t in range(3)]
    (folder / 'clip.json').write_text(json.dumps({'data': frames, 'label': 'walk', 'label_index': 3}))


def _converted(convert: Callable[..., None], source: str, options: Mapping[str, Any], folder: Path) -> Any:
    """A conversion, and the set that it writes."""
    paths = {key: folder / value if str(value).endswith('.json') else value for key, value in options.items()}
    convert(folder / source, folder / 'out', overwrite=True, **paths)
    return content_of(folder / 'out')


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
    _nwucla(folder / 'raw')
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


def _config(folder: Path) -> None:
    toy.write_config(folder / 'toy.py', folder / 'set')


def _curves(folder: Path) -> None:
    (folder / 'now/vis_data').mkdir(parents=True)
    lines = [{'lr': 0.1, 'loss': 2.0 / step, 'iter': step, 'epoch': 1, 'step': step} for step in (1, 2)]
    lines.append({'knn/top1': 50.0, 'step': 1})
    (folder / 'now/vis_data/scalars.json').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))


def _read_layout(folder: Path) -> Any:
    return converters.clips.read_layout(folder / 'layout.json').joints


def _format(make: Callable[[Path], Any], module: Any, source: str = '', **options: Any) -> Specimen:
    return Specimen(make, partial(_converted, module.convert, source, options))


SPECIMENS: dict[str, Specimen] = {
    'ntu': _format(_ntu, converters.ntu, jobs=1),
    'ntu in a zip archive': _format(partial(_zipped, _ntu), converters.ntu, 'raw.zip', jobs=1),
    'pkummd': _format(_pkummd, converters.pkummd, jobs=1),
    'nwucla': _format(_nwucla, converters.nwucla, jobs=1),
    'utdmhad': _format(_utdmhad, converters.utdmhad, jobs=1),
    'pyskl': _format(_pyskl, converters.pyskl, 'data.pkl', layout='coco17'),
    'stgcn_arrays': _format(_stgcn_arrays, converters.stgcn_arrays),
    'ctrgcn': _format(_ctrgcn, converters.ctrgcn, 'data.npz'),
    'plain': _format(_plain, converters.plain, 'raw', layout='layout.json'),
    'openpose': _format(_openpose, converters.openpose),
    'alphapose': _format(_alphapose, converters.alphapose),
    'mediapipe': _format(_mediapipe, converters.mediapipe),
    'kinetics': _format(_kinetics, converters.kinetics),
    'layout': Specimen(_layout, _read_layout),
    'packed set': Specimen(_packed, lambda folder: content_of(folder / 'set'), checked=True),
    'prepared clips': Specimen(_prepared, _read_prepared, checked=True, cost=0.03),
    'interrupted conversion': Specimen(_chunks, _read_chunks),
    'weights': Specimen(_weights, _read_weights, checked=True),
    'work_dir': Specimen(_run, _resumed, checked=True, cost=0.6),
    'record': Specimen(_record, lambda folder: record.read(folder / 'record.json')),
    'class scores': Specimen(_scores, _read_scores, checked=True),
    'config': Specimen(_config, lambda folder: resolve_config(read_config(folder / 'toy.py')).pretty_text, cost=0.05),
    'curves': Specimen(_curves, lambda folder: read_log(folder)),
}


def copy(source: Path, target: Path) -> None:
    """A fresh copy of the files of a specimen."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
