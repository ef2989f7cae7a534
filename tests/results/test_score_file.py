"""Score files: what was written is read, and nothing else is."""

import json
import pickle

import numpy as np
import pytest
import torch

from skeattn.errors import DataError
from skeattn.evaluation.result import Scores
from skeattn.results.score_file import ScoreFile

FACTS = {
    'data': 'set',
    'manifest_sha256': 'ab',
    'split': 'xsub',
    'stream': ['joint', 'bone'],
    'protocol': 'linear',
}


def scores(N=4, classes=3, seed=0, prefix='clip'):
    x = torch.randn(N, classes, generator=torch.Generator().manual_seed(seed))
    return Scores(x, torch.arange(N) % classes, [f'{prefix}{i}' for i in range(N)])


def score_file(**changes):
    return ScoreFile(**{'test': scores(), 'heldout': None, 'classes': ['a', 'b', 'c'], 'facts': FACTS, **changes})


@pytest.mark.parametrize('heldout', [None, scores(2, seed=1, prefix='held')])
def test_what_is_written_is_read(tmp_path, heldout):
    written = score_file(heldout=heldout)
    written.write(tmp_path / 'new' / 'a.npz')
    read = ScoreFile.read(tmp_path / 'new' / 'a.npz')
    assert (read.classes, read.facts) == (written.classes, FACTS)
    assert (read.heldout is None) == (heldout is None)
    for ours, theirs in ((written.test, read.test), *([(heldout, read.heldout)] if heldout else [])):
        assert torch.equal(ours.scores, theirs.scores) and theirs.scores.dtype == torch.float32
        assert torch.equal(ours.labels, theirs.labels) and theirs.labels.dtype == torch.int64
        assert ours.names == theirs.names


def test_older_files_call_the_split_protocol_and_the_protocol_evaluation(tmp_path):
    old = {**FACTS, 'protocol': 'xsub', 'evaluation': 'linear'}
    del old['split']
    score_file(facts=old).write(tmp_path / 'old.npz')
    assert ScoreFile.read(tmp_path / 'old.npz').facts == FACTS


def test_the_same_scores_make_the_same_bytes(tmp_path):
    for name in ('a.npz', 'b.npz'):
        score_file().write(tmp_path / name)
    assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()


def test_a_file_that_is_not_one_is_named(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ('executed',)

    written = score_file()
    written.write(tmp_path / 'whole.npz')
    content = (tmp_path / 'whole.npz').read_bytes()
    (tmp_path / 'cut.npz').write_bytes(content[: len(content) // 2])
    (tmp_path / 'text.npz').write_text('{}')
    (tmp_path / 'pickle.npz').write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / 'other.npz', x=np.zeros(3))
    np.savez(tmp_path / 'objects.npz', test_scores=np.array([Trap()]), allow_pickle=True)
    np.save(tmp_path / 'array.npy', np.zeros(3))
    for name in ('cut.npz', 'text.npz', 'pickle.npz', 'other.npz', 'objects.npz', 'array.npy'):
        with pytest.raises(DataError, match=rf'{name} is not an intact score file: .*; write it again'):
            ScoreFile.read(tmp_path / name)
    with pytest.raises(DataError, match=r'gone\.npz: no such score file'):
        ScoreFile.read(tmp_path / 'gone.npz')


def test_a_file_that_contradicts_itself_is_named(tmp_path):
    score_file().write(tmp_path / 'a.npz')
    with np.load(tmp_path / 'a.npz') as arrays:
        changed = dict(arrays, test_labels=np.array([0, 1, 2, 7]), facts=np.array(json.dumps({})))
    np.savez(tmp_path / 'a.npz', **changed)
    with pytest.raises(DataError, match=r'a\.npz is not an intact .*: test: 3 columns of scores and labels 0 to 7'):
        ScoreFile.read(tmp_path / 'a.npz')


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (Scores(torch.zeros(2, 3), torch.zeros(3).long(), ['a', 'b']), r'\(2, 3\) scores, \(3,\) labels, 2 names'),
        (Scores(torch.zeros(0, 3), torch.zeros(0).long(), []), '0 names; give one row'),
        (Scores(torch.zeros(2, 4), torch.zeros(2).long(), ['a', 'b']), '4 columns .* do not fit 3 classes'),
        (Scores(torch.zeros(2, 2), torch.tensor([0, 2]), ['a', 'b']), '2 columns .* labels 0 to 2'),
        (Scores(torch.tensor([[0.0], [torch.nan]]), torch.zeros(2).long(), ['a', 'b']), 'scores of b are not finite'),
        (Scores(torch.zeros(2, 3), torch.zeros(2).long(), ['a', 'a']), '1 clips are in it twice, such as a'),
    ],
)
@pytest.mark.parametrize('part', ['test', 'heldout'])
def test_scores_that_do_not_fit_are_never_written(part, wrong, message):
    with pytest.raises(DataError, match=f'{part}: .*{message}'):
        score_file(**{part: wrong})
