"""ensemble.py as a user runs it."""

import json

import pytest

from skeattn.evaluation.fusion import choose_weights, fuse
from tests.evaluation.streams import stream, top1
from tests.results.ensembles import STREAMS, write_part, write_record


@pytest.fixture
def records(tmp_path):
    return [write_record(tmp_path, name, seed) for seed, name in enumerate(STREAMS)]


def test_table_and_record_hold_streams_fusion_and_weights(tool, records, tmp_path):
    status, out, err = tool('ensemble.py', *records)
    assert status == 0, err
    weights = choose_weights([stream(i + 100, N=18, prefix='held') for i in range(3)])
    tests = [stream(i) for i in range(3)]
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    for name, weight, part in zip(STREAMS, weights, tests, strict=True):
        assert rows[name][1:3] == [f'{weight:.2g}', f'{top1(part):.1f}']
    fused = top1(fuse(tests, weights))
    assert rows['fusion'][1] == f'{fused:.1f}'
    assert 'weights chosen on held-out training clips: ' in out
    (path,) = tmp_path.glob('fusion_linear_????????.json')
    assert f'wrote {path}' in out
    assert json.loads(path.read_text())['sources']['fusion']['metrics']['linear/top1'] == fused
    assert path.with_suffix('.linear.npz').is_file()


@pytest.mark.parametrize(
    ('arguments', 'weights', 'text'),
    [
        (['--weights', '0.6', '0.6', '0.4'], [0.6, 0.6, 0.4], 'weights given beforehand: 0.6 0.6 0.4'),
        (['--weights', 'aimclr'], [0.6, 0.6, 0.4], 'weights given beforehand'),
        (['--weights', 'equal', '--scores', 'softmax'], [1, 1, 1], 'weighted sum of softmax'),
        (['--select', 'test'], None, 'weights chosen ON THE TEST CLIPS, with their labels: '),
    ],
)
def test_weights_are_given_or_chosen_on_request(tool, records, tmp_path, arguments, weights, text):
    status, out, err = tool('ensemble.py', *records, '--out', tmp_path / 'deep' / 'a.json', *arguments)
    assert status == 0, err
    assert text in out
    record = json.loads((tmp_path / 'deep' / 'a.json').read_text())
    tests, kind = [stream(i) for i in range(3)], 'softmax' if 'softmax' in arguments else 'logits'
    weights = weights or choose_weights(tests)
    assert list(record['ensemble']['weights'].values()) == weights
    assert record['sources']['fusion']['metrics']['linear/top1'] == top1(fuse(tests, weights, kind))


def test_several_results_of_one_stream_are_warned_of(tool, tmp_path):
    paths = [write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'again', 1, stream='joint')]
    status, _, err = tool('ensemble.py', *paths)
    assert status == 2 and 'error: ' in err and '--same-stream' in err
    status, out, err = tool('ensemble.py', *paths, '--same-stream')
    assert status == 0, err
    assert 'warning: several results are of the same stream: joint, joint' in out


def test_scores_of_another_k_are_warned_of(tool, records):
    for path, k in zip(records, (5, 20, 5), strict=True):
        record = json.loads(path.read_text())
        record['sources']['backbone']['protocols']['linear']['scores_of'] = f'K={k}'
        path.write_text(json.dumps(record))
    _, out, _ = tool('ensemble.py', *records)
    assert 'warning: the scores are of different epochs or K: joint: K=5; bone: K=20; motion: K=5\n' in out
    _, out, _ = tool('ensemble.py', records[0], records[2])
    assert 'warning' not in out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--weights', '1', '2'], '2 weights for 3 streams'),
        (['--weights', '1', 'two', '3'], '--weights 1 two 3 mixes numbers and names; give numbers'),
        (['--weights', 'best'], "no weights 'best'; give numbers, or one of equal, aimclr"),
        (['--protocol', 'semi01'], "no scores of protocol 'semi01'"),
        (['nowhere.npz'], 'nowhere.npz: no such score file'),
    ],
)
def test_what_a_user_can_cure_ends_without_traceback(tool, records, arguments, message):
    status, _, err = tool('ensemble.py', *records, *arguments)
    assert status == 2
    assert err.startswith('error: ') and message in err
