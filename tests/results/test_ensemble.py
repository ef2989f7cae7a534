"""Ensembles of recorded scores: what is written, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import strategies as st

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.fusion import choose_weights, fuse
from skeattn.evaluation.metrics import accuracy
from skeattn.files import sha256
from skeattn.results.ensemble import fuse_files
from skeattn.results.parts import read_parts
from skeattn.results.record import read
from skeattn.results.score_file import ScoreFile
from tests.evaluation.streams import CLASSES, by_name, stream, top1
from tests.results.ensembles import STREAMS, write_part, write_record

weight_lists = st.lists(st.integers(0, 8), min_size=1, max_size=5).filter(any)


@pytest.fixture
def records(tmp_path):
    return [write_record(tmp_path, name, seed) for seed, name in enumerate(STREAMS)]


def test_a_record_holds_the_fusion_its_parts_and_how_weights_were_chosen(records, tmp_path):
    record = fuse_files(records).record()
    tests, held = [stream(i) for i in range(3)], [stream(i + 100, N=18, prefix='held') for i in range(3)]
    weights, ensemble = choose_weights(held), record.ensemble
    assert ensemble.weights == dict(zip(STREAMS, weights, strict=True))
    assert (ensemble.selection, ensemble.added, record.split) == ('heldout', 'logits', 'xsub')
    fused, source = fuse(tests, weights), record.sources['fusion']
    assert source.metrics == {'linear/top1': top1(fused), 'linear/top5': accuracy(fused.scores, fused.labels, 5)}
    assert ensemble.heldout_top1 == top1(fuse(held, weights)) >= max(map(top1, held))
    assert source.streams == list(STREAMS) and (source.parameters, source.gmacs) == (21, 6)
    assert (record.seed, record.protocols) == (3, {'linear': {'lr': 3}})
    result = source.protocols['linear']
    assert np.diag(result.confusion).sum() / 30 * 100 == pytest.approx(top1(fused))
    assert list(result.per_class) == CLASSES
    assert [part.metrics['linear/top1'] for part in ensemble.parts] == list(map(top1, tests))
    assert [part.scores_sha256 for part in ensemble.parts] == [sha256(tmp_path / f'{s}.npz') for s in STREAMS]
    assert [part.record for part in ensemble.parts] == [path.name for path in records]


def test_score_files_give_what_their_records_give(records, tmp_path):
    from_files = fuse_files([tmp_path / f'{name}.npz' for name in STREAMS]).record()
    from_records = fuse_files(records).record()
    assert from_files.ensemble.weights == from_records.ensemble.weights
    assert from_files.sources['fusion'].metrics == from_records.sources['fusion'].metrics
    assert from_files.sources['fusion'].parameters is None


def test_what_is_written_can_be_fused_again(records, tmp_path):
    fusion = fuse_files(records[:2], weights=[1, 2])
    record = fusion.write(fusion.default_path)
    assert read(fusion.default_path) == record
    whole = fuse_files([fusion.default_path, records[2]], weights=[1, 0.5])
    direct = fuse_files(records, weights=[1, 2, 0.5])
    assert [part.stream for part in whole.parts] == ['joint+bone', 'motion']
    assert whole.record().sources['fusion'].metrics == direct.record().sources['fusion'].metrics
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
    record = fuse_files(records, select='test').record()
    tests = [stream(i) for i in range(3)]
    assert list(record.ensemble.weights.values()) == choose_weights(tests)
    assert record.ensemble.selection == 'test'
    assert 'ON THE TEST CLIPS' in record.sources['fusion'].protocols['linear'].selection['top1']


def test_without_held_out_scores_weights_must_be_given(tmp_path):
    paths = [write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'bone', 1, heldout=False)]
    with pytest.raises(DataError, match=r"bone\.npz: no scores of held-out .* protocol 'linear'.*--weights equal"):
        fuse_files(paths)
    ensemble = fuse_files(paths, weights='equal').record().ensemble
    assert (ensemble.selection, ensemble.heldout_top1) == ('given', None)
    assert ensemble.parts[0].heldout_top1 is not None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'manifest_sha256': 'cd'}, r'joint\.npz and \S*bone\.npz are of different data sets: data/toy xsub \(ab12\)'),
        ({'split': 'xview'}, 'of different splits: data/toy xsub .* and data/toy xview'),
        ({'classes': [*CLASSES[1:], 'new']}, 'have different classes: class0, new'),
        ({'classes': CLASSES[::-1]}, 'have different classes: the same in a different order'),
        ({'protocol': 'finetune'}, "holds scores of protocol 'finetune', not 'linear'; choose with --protocol"),
        ({'stream': 'joint'}, 'are of the same stream, joint; fuse them with --same-stream'),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        fuse_files([write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'bone', 1, **change)])


def test_one_stream_twice_is_fused_where_that_is_wanted(tmp_path):
    paths = [write_part(tmp_path, 'joint', 0), write_part(tmp_path, 'again', 1, stream='joint')]
    ensemble = fuse_files(paths, same_stream=True).record().ensemble
    assert list(ensemble.weights) == [f'joint, {path}' for path in paths]
    with pytest.raises(DataError, match='hold the same scores; give each file once'):
        fuse_files([paths[0], paths[0]], same_stream=True)


def test_a_record_whose_scores_changed_or_are_gone_is_refused(records, tmp_path):
    write_part(tmp_path, 'joint', 55)
    with pytest.raises(DataError, match=r'joint\.npz changed after .*test_joint\.json was written'):
        fuse_files(records)
    (tmp_path / 'joint.npz').unlink()
    with pytest.raises(DataError, match=r'joint\.npz: no such score file'):
        fuse_files(records)


def test_a_record_without_the_protocol_lists_its_protocols(records):
    with pytest.raises(DataError, match=r"test_joint\.json has no scores of protocol 'semi01', only of linear; choose"):
        fuse_files(records, protocol='semi01')


def test_of_several_sources_one_must_be_named(records):
    record = json.loads(records[0].read_text())
    record['sources']['projector'] = record['sources']['backbone']
    records[0].write_text(json.dumps(record))
    with pytest.raises(ConfigError, match='has scores of backbone, projector; choose with --source'):
        fuse_files(records)
    (one, *_), (other, *_) = (read_parts(records[0], sources=[source]) for source in ('backbone', 'projector'))
    assert (one.source, other.source) == ('backbone', 'projector') and one.sha256 == other.sha256
    with pytest.raises(
        DataError, match=r"test_bone\.json has no scores of projector for 'linear'; choose --source from backbone"
    ):
        fuse_files(records, sources=['projector'])


def test_refusals_name_what_was_given(records, tmp_path):
    again = write_record(tmp_path, 'again', 5, stream='joint')
    record = json.loads(again.read_text())
    record['sources']['backbone']['streams'] = ['joint']
    again.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r'test_joint\.json and \S*test_again\.json are of the same stream, joint'):
        fuse_files([records[0], again])
    other = write_record(tmp_path, 'other', 6, manifest_sha256='cd')
    with pytest.raises(DataError, match=r'test_joint\.json and \S*test_other\.json are of different data sets'):
        fuse_files([records[0], other])


def test_one_result_is_no_ensemble(records):
    with pytest.raises(ConfigError, match=r'test_joint\.json alone is no ensemble; give two results or more'):
        fuse_files(records[:1])


def test_a_checkpoint_is_no_result(records):
    with pytest.raises(DataError, match=r'epoch_1\.pth is a checkpoint, not a result; give the JSON record'):
        fuse_files([*records, 'epoch_1.pth'])
    with pytest.raises(DataError, match=r'README\.md is not a result of skeattn test; give the JSON record'):
        fuse_files([*records, 'README.md'])


@pytest.mark.parametrize(('kind', 'added'), [('KNNEvaluator', 'scores'), ('LinearProbe', 'logits')])
def test_votes_of_neighbours_are_not_called_logits(tmp_path, kind, added):
    paths = [write_part(tmp_path, name, seed, settings={'type': kind}) for seed, name in enumerate(STREAMS)]
    fusion = fuse_files(paths)
    assert fusion.added == added
    assert fusion.scores.facts['settings'] == {'type': kind}
    assert fuse_files(paths, scores='softmax').added == 'softmax'


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"sources": []}', '{"sources": {"backbone": 3}}'])
def test_what_is_no_record_is_named(tmp_path, content):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(DataError, match=r'a\.json is no (readable |valid )?record'):
        fuse_files([tmp_path / 'a.json'])
    with pytest.raises(DataError, match=r'b\.json: no such record'):
        fuse_files([tmp_path / 'b.json'])


def test_an_unknown_way_to_choose_is_refused(records):
    with pytest.raises(ConfigError, match=r"unknown select='train'; choose"):
        fuse_files(records, select='train')


def test_readouts_are_never_fused_with_one_another(tmp_path):
    mean = write_part(tmp_path, 'joint', 0)
    first, second = (write_part(tmp_path, name, i, readout='joints') for i, name in enumerate(('bone', 'motion'), 1))
    with pytest.raises(DataError, match=r'have different readouts, mean and joints; evaluate both with the same one'):
        fuse_files([mean, first])
    fusion = fuse_files([first, second], weights=[1, 1])
    assert fusion.record().sources['fusion'].readout == 'joints'
    fusion.write(fusion.default_path)
    assert read_parts(fusion.default_path)[0].readout == 'joints'


def test_a_fusion_has_its_numbers_without_copies_where_its_parts_name_them(records, tmp_path):
    assert fuse_files(records).record().sources['fusion'].metrics_without_copies == {}
    files = [ScoreFile.read(tmp_path / f'{name}.npz') for name in STREAMS]
    copies = files[0].test.names[:9]
    for name, file in zip(STREAMS, files, strict=True):
        file.facts['copies'] = copies
        file.write(tmp_path / f'copied_{name}.npz')
    record = fuse_files([tmp_path / f'copied_{name}.npz' for name in STREAMS], weights='equal').record()
    fused = fuse([stream(i) for i in range(3)], [1, 1, 1])
    remaining = [i for i, name in enumerate(fused.names) if name not in copies]
    rest = accuracy(fused.scores[remaining], fused.labels[remaining])
    found = record.sources['fusion'].metrics_without_copies
    assert found.keys() == record.sources['fusion'].metrics.keys() and found['linear/top1'] == rest
    assert record.sources['fusion'].metrics['linear/top1'] != rest
