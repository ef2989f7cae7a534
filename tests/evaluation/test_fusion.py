"""Fusion by name: what it adds, how weights are chosen, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.fusion import choose_weights, fuse, fuse_files, fuse_records, named_weights
from skeattn.evaluation.outcome import Scores
from skeattn.evaluation.topk import accuracy
from skeattn.files import sha256
from tests.evaluation.ensembles import CLASSES, STREAMS, permuted, stream, top1, write_part, write_record


def by_name(part):
    return dict(zip(part.names, part.scores.tolist(), strict=True))


weight_lists = st.lists(st.integers(0, 8), min_size=1, max_size=5).filter(any)


@given(weight_lists, st.integers(0, 1000), st.sampled_from(['logits', 'softmax']))
def test_order_of_clips_and_of_streams_changes_nothing(weights, seed, kind):
    parts = [stream(seed + i) for i in range(len(weights))]
    fused = fuse(parts, weights, kind)
    shuffled = fuse([permuted(part, seed + i) for i, part in enumerate(parts)], weights, kind)
    backwards = fuse(parts[::-1], weights[::-1], kind)
    for other in (shuffled, backwards):
        assert top1(other) == top1(fused)
        assert dict(zip(other.names, other.labels.tolist(), strict=True)) == dict(
            zip(fused.names, fused.labels.tolist(), strict=True)
        )
        expected, found = by_name(fused), by_name(other)
        assert found.keys() == expected.keys()
        assert all(found[name] == pytest.approx(expected[name], abs=1e-12) for name in expected)


@given(weight_lists, st.integers(0, 1000), st.sampled_from([1 / 1024, 0.5, 2, 4096]))
def test_the_scale_of_the_weights_changes_no_guess(weights, seed, scale):
    parts = [stream(seed + i) for i in range(len(weights))]
    fused, scaled = fuse(parts, weights), fuse(parts, [weight * scale for weight in weights])
    assert torch.equal(scaled.scores, fused.scores * scale)
    assert torch.equal(scaled.scores.argmax(dim=1), fused.scores.argmax(dim=1))


def test_one_stream_is_itself_and_the_sum_follows_the_definition():
    one, other = stream(0), stream(1)
    alone = fuse([one], [1])
    assert torch.equal(alone.scores, one.scores.double()) and alone.names == one.names
    assert torch.equal(fuse([one, other], [1, 0]).scores, one.scores.double())
    torch.testing.assert_close(fuse([one, other], [0.5, 2]).scores, (0.5 * one.scores + 2 * other.scores).double())
    soft = fuse([one, other], [1, 3], 'softmax').scores
    torch.testing.assert_close(soft.sum(dim=1), torch.full((30,), 4.0).double())
    assert torch.equal(fuse([one], [1], 'softmax').scores.argmax(dim=1), one.scores.argmax(dim=1))


def test_parts_that_do_not_belong_together_are_refused():
    one, files = stream(0, N=8), ['a.npz', 'b.npz']
    longer, relabelled = stream(1, N=9), stream(1, N=8)
    relabelled.labels[3] = 5
    twice = Scores(one.scores, one.labels, ['clip0', *one.names[:-1]])
    for other, message in (
        (longer, r'a\.npz and b\.npz hold different clips: 1 are in one alone, clip8'),
        (stream(1, N=8, prefix='x'), '16 are in one alone, clip0, clip1, clip2, …'),
        (stream(1, N=8, classes=4), r'a\.npz and b\.npz have 6 and 4 classes'),
        (relabelled, 'give 1 clips other labels: clip3'),
        (twice, r'b\.npz holds 1 clips twice: clip0'),
    ):
        with pytest.raises(DataError, match=message):
            fuse([one, other], [1, 1], files=files)
        with pytest.raises(DataError, match=message):
            choose_weights([one, other], files=files)


@pytest.mark.parametrize('weights', [[1], [1, 2, 3], [-1, 2], [0, 0], [1, float('inf')], [float('nan'), 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ConfigError, match='weights'):
        fuse([stream(0), stream(1)], weights)


def test_an_unknown_kind_of_scores_is_refused():
    with pytest.raises(ConfigError, match=r"scores='rank' is neither"):
        fuse([stream(0)], [1], 'rank')


@given(st.integers(1, 7), st.integers(0, 500), st.data())
def test_chosen_weights_are_never_worse_than_the_best_stream_or_equal_weights(n, seed, data):
    strengths = data.draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=n, max_size=n))
    parts = [stream(seed + i, N=12, strength=strength) for i, strength in enumerate(strengths)]
    weights = choose_weights(parts)
    assert sum(weights) == pytest.approx(1) and min(weights) >= 0
    assert weights == choose_weights(parts)
    best = max(map(top1, parts))
    assert top1(fuse(parts, weights)) >= max(best, top1(fuse(parts, [1 / n] * n)))


@pytest.mark.parametrize('n', [2, 3, 6])
def test_of_equally_good_weights_the_equal_ones_are_taken(n):
    assert choose_weights([stream(0)] * n) == pytest.approx([1 / n] * n)


@pytest.mark.parametrize('n', [3, 6])
def test_a_stream_that_misleads_gets_no_weight(n):
    good, bad = stream(0, strength=9), stream(1)
    bad.scores = -90 * good.scores
    weights = choose_weights([good] * (n - 1) + [bad])
    assert weights[-1] == 0 and top1(fuse([good] * (n - 1) + [bad], weights)) == 100


def test_many_streams_are_improved_one_at_a_time():
    parts = [stream(seed, N=60, strength=0.3 * seed) for seed in range(6)]
    best = max(top1(fuse(parts, [1] * 6)), *map(top1, parts))
    assert top1(fuse(parts, choose_weights(parts))) > best


def test_candidates_limit_the_choice():
    parts = [stream(0, strength=9), stream(1, strength=0)]
    assert choose_weights(parts, candidates=[[0.1, 9], [1, 0.5]]) == [1, 0.5]


def test_named_weights_go_by_stream():
    assert named_weights('aimclr', ['motion', 'joint', 'bone']) == [0.4, 0.6, 0.6]
    assert named_weights('equal', ['joint', 'anything']) == [1, 1]
    with pytest.raises(ConfigError, match='for joint, bone, motion, not for velocity'):
        named_weights('aimclr', ['joint', 'velocity'])
    with pytest.raises(ConfigError, match='for joint, bone, motion, and bone is missing; give its result, too'):
        named_weights('aimclr', ['motion', 'joint'])
    with pytest.raises(ConfigError, match="'best': give numbers, or one of equal, aimclr"):
        named_weights('best', ['joint'])


@pytest.fixture
def records(tmp_path):
    return [write_record(tmp_path, name, seed) for seed, name in enumerate(STREAMS)]


def test_a_record_holds_the_fusion_its_parts_and_how_weights_were_chosen(records, tmp_path):
    record = fuse_records(records)
    tests, held = [stream(i) for i in range(3)], [stream(i + 100, N=18, prefix='held') for i in range(3)]
    weights = choose_weights(held)
    assert record['weights'] == dict(zip(STREAMS, weights, strict=True))
    assert (record['selection'], record['added'], record['protocol']) == ('heldout', 'logits', 'xsub')
    fused, source = fuse(tests, weights), record['sources']['fusion']
    assert source['metrics'] == {
        'linear/top1': top1(fused), 'linear/top5': accuracy(fused.scores, fused.labels, 5),
    }  # fmt: skip
    assert record['heldout_top1'] == top1(fuse(held, weights)) >= max(map(top1, held))
    assert source['streams'] == list(STREAMS) and (source['parameters'], source['gmacs']) == (21, 6)
    assert (record['seed'], record['protocols']) == (3, {'linear': {'lr': 3}})
    outcome = source['outcomes']['linear']
    assert np.diag(outcome['confusion']).sum() / 30 * 100 == pytest.approx(top1(fused))
    assert list(outcome['per_class']) == CLASSES
    assert [part['metrics']['linear/top1'] for part in record['parts']] == list(map(top1, tests))
    assert [part['scores_sha256'] for part in record['parts']] == [sha256(tmp_path / f'{s}.npz') for s in STREAMS]


def test_score_files_give_what_their_records_give(records, tmp_path):
    from_files = fuse_records([tmp_path / f'{name}.npz' for name in STREAMS])
    from_records = fuse_records(records)
    assert from_files['weights'] == from_records['weights']
    assert from_files['sources']['fusion']['metrics'] == from_records['sources']['fusion']['metrics']
    assert from_files['sources']['fusion']['parameters'] is None


def test_what_is_written_can_be_fused_again(records, tmp_path):
    fusion = fuse_files(records[:2], weights=[1, 2])
    record = fusion.write(fusion.default_path)
    assert json.loads(fusion.default_path.read_text()) == record
    whole = fuse_files([fusion.default_path, records[2]], weights=[1, 0.5])
    direct = fuse_files(records, weights=[1, 2, 0.5])
    assert [part.stream for part in whole.parts] == ['joint+bone', 'motion']
    assert whole.record()['sources']['fusion']['metrics'] == direct.record()['sources']['fusion']['metrics']
    assert by_name(whole.scores.test)['clip4'] == pytest.approx(by_name(direct.scores.test)['clip4'])
    assert whole.scores.heldout is not None


def test_another_ensemble_has_another_default_name(records):
    ensembles = [
        fuse_files(records), fuse_files(records[:2]), fuse_files(records, weights='equal'),
        fuse_files(records, weights=[1, 2, 3]), fuse_files(records, scores='softmax'),
        fuse_files(records, select='test'),
    ]  # fmt: skip
    assert len({fusion.default_path for fusion in ensembles}) == len(ensembles)
    assert fuse_files(records).default_path == ensembles[0].default_path


def test_weights_chosen_on_the_test_clips_are_marked(records):
    record = fuse_records(records, select='test')
    tests = [stream(i) for i in range(3)]
    assert list(record['weights'].values()) == choose_weights(tests)
    assert record['selection'] == 'test'
    assert 'ON THE TEST CLIPS' in record['sources']['fusion']['outcomes']['linear']['selection']['top1']


def test_without_held_out_scores_weights_must_be_given(tmp_path):
    paths = [write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'bone', 1, heldout=False)]
    with pytest.raises(DataError, match=r"bone\.npz: no scores of held-out .* protocol 'linear'.*--weights equal"):
        fuse_records(paths)
    record = fuse_records(paths, weights='equal')
    assert (record['selection'], record['heldout_top1']) == ('given', None)
    assert record['parts'][0]['heldout_top1'] is not None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'manifest_sha256': 'cd'}, r'joint\.npz and \S*bone\.npz are of different data sets: data/toy xsub \(ab12\)'),
        ({'protocol': 'xview'}, 'of different splits: data/toy xsub .* and data/toy xview'),
        ({'classes': [*CLASSES[1:], 'new']}, 'have other classes: class0, new'),
        ({'classes': CLASSES[::-1]}, 'have other classes: the same in another order'),
        ({'evaluation': 'finetune'}, "holds scores of protocol 'finetune', not 'linear'; choose with --protocol"),
        ({'stream': 'joint'}, 'are of the same stream, joint; with --same-stream'),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        fuse_records([write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'bone', 1, **change)])


def test_one_stream_twice_is_fused_where_that_is_wanted(tmp_path):
    paths = [write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'again', 1, stream='joint')]
    record = fuse_records(paths, same_stream=True)
    assert list(record['weights']) == [f'joint, {path}' for path in paths]
    with pytest.raises(DataError, match='hold the same scores; give each once'):
        fuse_records([paths[0], paths[0]], same_stream=True)


def test_a_record_whose_scores_changed_or_are_gone_is_refused(records, tmp_path):
    write_part(tmp_path, 'joint', 55)
    with pytest.raises(DataError, match=r'joint\.npz is not the file that .*test_joint\.json was written with'):
        fuse_records(records)
    (tmp_path / 'joint.npz').unlink()
    with pytest.raises(DataError, match=r'joint\.npz: no such score file'):
        fuse_records(records)


def test_a_record_without_the_protocol_says_what_it_has(records):
    with pytest.raises(
        DataError, match=r"test_joint\.json has no scores of protocol 'semi01'; it has those of linear\."
    ):
        fuse_records(records, protocol='semi01')


def test_of_several_sources_one_must_be_named(records):
    record = json.loads(records[0].read_text())
    record['sources']['projector'] = record['sources']['backbone']
    records[0].write_text(json.dumps(record))
    with pytest.raises(ConfigError, match='has scores of backbone, projector; say which with --source'):
        fuse_records(records)
    assert (
        fuse_records(records, sources=['backbone'])['weights'] == fuse_records(records, sources=['backbone'])['weights']
    )
    with pytest.raises(DataError, match=r"test_bone\.json has no scores of projector for 'linear', only of backbone"):
        fuse_records(records, sources=['projector'])


def test_refusals_name_what_was_given(records, tmp_path):
    again = write_record(tmp_path, 'again', 5, stream='joint')
    record = json.loads(again.read_text())
    record['sources']['backbone']['streams'] = ['joint']
    again.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r'test_joint\.json and \S*test_again\.json are of the same stream, joint'):
        fuse_records([records[0], again])
    other = write_record(tmp_path, 'other', 6, manifest_sha256='cd')
    with pytest.raises(DataError, match=r'test_joint\.json and \S*test_other\.json are of different data sets'):
        fuse_records([records[0], other])


def test_one_result_is_no_ensemble(records):
    with pytest.raises(ConfigError, match=r'test_joint\.json alone is no ensemble; give two results or more'):
        fuse_records(records[:1])


def test_a_checkpoint_is_no_result(records):
    with pytest.raises(DataError, match=r'epoch_1\.pth is a checkpoint, no result; give the JSON record'):
        fuse_records([*records, 'epoch_1.pth'])
    with pytest.raises(DataError, match=r'README\.md is no result of tools/test\.py; give the JSON record'):
        fuse_records([*records, 'README.md'])


@pytest.mark.parametrize(('kind', 'said'), [('KNNEvaluator', 'scores'), ('LinearProbe', 'logits')])
def test_votes_of_neighbours_are_not_called_logits(tmp_path, kind, said):
    paths = [write_part(tmp_path, name, seed, settings={'type': kind}) for seed, name in enumerate(STREAMS)]
    fusion = fuse_files(paths)
    assert fusion.added == said
    assert fusion.scores.facts['settings'] == {'type': kind}
    assert fuse_files(paths, scores='softmax').added == 'softmax'


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"sources": []}', '{"sources": {"backbone": 3}}'])
def test_what_is_no_record_is_named(tmp_path, content):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(DataError, match=r'a\.json is no record'):
        fuse_records([tmp_path / 'a.json'])
    with pytest.raises(DataError, match=r'b\.json: no such record'):
        fuse_records([tmp_path / 'b.json'])


def test_an_unknown_way_to_choose_is_refused(records):
    with pytest.raises(ConfigError, match=r"select='train' is neither"):
        fuse_records(records, select='train')
