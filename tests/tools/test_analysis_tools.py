"""The tools that look into records, runs and configs, as a shell would run them."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.engine import config_diff as diff
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation.baselines import untrained
from skeattn.evaluation.mask_motion import describe
from tests.conftest import ROOT
from tests.engine.toy import tool as load
from tests.engine.toy import write_config
from tests.results.records import OURS, write_record
from tests.visualization.logs import write_resumed_run

ANALYSIS = 'analysis_tools'
CONFIGS = ROOT / 'configs'
TOOLS = (
    *('plot_curves', 'plot_confusion', 'class_gain', 'plot_embedding', 'mask_motion'),
    *('benchmark', 'benchmark_knn', 'benchmark_probe', 'get_flops', 'diff_config'),
)


@pytest.mark.parametrize('name', TOOLS)
def test_each_says_what_it_is_for(tool, name: str) -> None:
    status, out, _ = tool(f'{ANALYSIS}/{name}.py', '--help')
    purpose = load(f'{ANALYSIS}/{name}').__doc__.splitlines()[0].partition(':')[0].partition('. ')[0]
    assert status == 0 and purpose.rstrip('.') in ' '.join(out.split())


@pytest.mark.slow
def test_the_front_page_shows_the_cost_of_every_backbone(tool) -> None:
    names = ('stgcn', 'bigru', 'dsta', 'ctrgcn', 'agcn', 'stgcnpp', 'transformer')
    configs = [f'configs/skeattnclr/{name}_ntu60_xsub.py' for name in names]
    status, out, _ = tool(f'{ANALYSIS}/get_flops.py', *configs, '--batch', 2)
    table = '\n'.join(line for line in out.splitlines() if line.startswith('|'))
    assert status == 0 and len(table.splitlines()) == 2 + len(names)
    assert table in (ROOT / 'docs/backbones.md').read_text()


def test_confusion_of_seeds_is_their_sum_and_a_default_name_is_not_overwritten(tool, tmp_path: Path) -> None:
    records = [write_record(tmp_path / 'a.json'), write_record(tmp_path / 'b.json', OURS, seed=1)]
    status, out, _ = tool(f'{ANALYSIS}/plot_confusion.py', *records)
    lines = [line.split() for line in out.splitlines()]
    assert status == 0 and lines[3] == ['throw', 'drink', '6', '30.0'] and '74.0 % of 50 clips of 2 records' in out
    picture = tmp_path / 'confusion_linear.png'
    assert picture.read_bytes().startswith(b'\x89PNG')
    status, _, err = tool(f'{ANALYSIS}/plot_confusion.py', *records)
    assert status == 2 and 'confusion_linear.png exists already; to overwrite it' in err
    assert tool(f'{ANALYSIS}/plot_confusion.py', *records, '--out', picture)[0] == 0


def test_confusion_says_which_epoch_or_k_was_counted(tool, tmp_path: Path) -> None:
    records = [write_record(tmp_path / 'a.json'), write_record(tmp_path / 'b.json', OURS, seed=1)]
    for path, k in zip(records, (5, 20), strict=True):
        record = json.loads(path.read_text())
        record['sources']['backbone']['protocols']['linear']['scores_of'] = f'K={k}, chosen on held-out subjects'
        path.write_text(json.dumps(record))
    status, out, err = tool(f'{ANALYSIS}/plot_confusion.py', *records)
    assert status == 0, err
    assert 'linear (K=5, chosen on held-out subjects or K=20, chosen on held-out subjects): 74.0 %' in out


def test_confusion_of_two_methods_is_refused(tool, tmp_path: Path) -> None:
    records = [write_record(tmp_path / 'a.json'), write_record(tmp_path / 'b.json', OURS, 'SkeAttnCLR')]
    status, _, err = tool(f'{ANALYSIS}/plot_confusion.py', *records)
    assert status == 2 and 'differ in their method: SkeAttnCLR and SkeletonCLR' in err


def test_gains_are_printed_and_drawn(tool, tmp_path: Path) -> None:
    baseline, ours = write_record(tmp_path / 'a.json'), write_record(tmp_path / 'b.json', OURS, 'SkeAttnCLR')
    arguments = ('--baseline', baseline, '--ours', ours, '--format', 'github')
    status, out, _ = tool(f'{ANALYSIS}/class_gain.py', *arguments)
    first = [cell.strip() for cell in out.splitlines()[2].split('|')[1:-1]]
    assert status == 0 and first == ['throw', '10', '50.0', '90.0', '+40.0', '+40.0']
    assert (tmp_path / 'class_gain_linear.png').exists()
    (tmp_path / 'b.json').write_text('{')
    status, _, err = tool(f'{ANALYSIS}/class_gain.py', *arguments)
    assert status == 2 and 'b.json is no readable record' in err and 'Traceback' not in err


@pytest.mark.slow
def test_curves_of_runs_and_of_records(tool, tmp_path: Path, monkeypatch) -> None:
    logged_run = write_resumed_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert tool(f'{ANALYSIS}/plot_curves.py', f'A={logged_run},{logged_run}', f'B={logged_run}')[0] == 0
    assert Path('work_dirs/curves.png').exists()
    status, shown, _ = tool(f'{ANALYSIS}/plot_curves.py', f'a={logged_run}', logged_run, '--losses', '--out', 'l.png')
    assert status == 0 and shown == 'wrote l.png\n' and Path('l.png').read_bytes().startswith(b'\x89PNG')
    records = [write_record(tmp_path / f'{seed}.json', seed=seed) for seed in (0, 1)]
    out = ('--out', tmp_path / 'r.png')
    assert tool(f'{ANALYSIS}/plot_curves.py', f'A={records[0]},{records[1]}', *out)[0] == 0
    refused = {
        (records[0], logged_run): 'some runs are work_dirs and some are records',
        (f'A={records[0]}', f'A={records[1]}'): "two runs have the name 'A'",
        ('A=',): 'A=: name or path is missing; write NAME=PATH,PATH',
        (records[0], '--metric', 'top5'): "curve 'top5' is not in all records; choose from loss, top1",
        (tmp_path / 'nowhere',): 'give the work_dir of a training run',
        (records[0], '--losses'): '--losses draws the logged losses of work_dirs; omit --metric and give no records',
    }
    for arguments, message in refused.items():
        status, _, err = tool(f'{ANALYSIS}/plot_curves.py', *arguments, *out)
        assert status == 2 and message in err


@pytest.mark.slow
def test_map_of_a_checkpoint_coloured_by_what_the_set_knows(tool, tmp_path: Path) -> None:
    config, file = write_config(tmp_path), tmp_path / 'run' / 'epoch_1.pth'
    file.parent.mkdir()
    torch.save({'state_dict': load_model(config).state_dict()}, file)
    command = (f'{ANALYSIS}/plot_embedding.py', config, file, '--device', 'cpu', '--method', 'pca')
    status, out, _ = tool(*command, '--colour', 'subject')
    assert status == 0 and out.endswith('10 of 10 test clips\n')
    assert (file.parent / 'embedding_pca_subject.png').exists()
    status, _, err = tool(*command, '--colour', 'camera')
    assert status == 2 and 'the camera of some clips is unknown; choose' in err


def test_a_map_of_clips_of_another_length_than_in_training_says_so(tool, tmp_path: Path, monkeypatch) -> None:
    """Kind: a guard in one tool and not in the others."""
    config, file = write_config(tmp_path), tmp_path / 'run' / 'epoch_1.pth'
    file.parent.mkdir()
    torch.save({'state_dict': load_model(config).state_dict(), 'meta': {'num_frames': 16}}, file)
    option = 'dataset.pipeline.resample.num_frames'
    command = (f'{ANALYSIS}/plot_embedding.py', config, file.parent, '--device', 'cpu', '--method', 'pca')
    logged: list[str] = []
    monkeypatch.setattr('skeattn.evaluation.features.print_log', lambda text, *_: logged.append(text))
    status, _, err = tool(*command, '--cfg-options', f'{option}=12')
    assert status == 0, err
    line = f'of 16 frames and is evaluated on clips of 12; for equal lengths: --cfg-options {option}=16'
    assert len(logged) == 1 and line in logged[0]


@pytest.mark.slow
def test_masks_are_compared_with_movement_by_class(tool, tmp_path: Path) -> None:
    config, file = write_config(tmp_path), tmp_path / 'run' / 'epoch_1.pth'
    file.parent.mkdir()
    train, _ = build_splits(resolve_config(read_config(config)))
    torch.save({'state_dict': untrained(partial(load_model, config), train, seed=1).state_dict()}, file)
    command = (f'{ANALYSIS}/mask_motion.py', config, file.parent, '--device', 'cpu', '--format', 'github')
    status, out, err = tool(*command, '--out', tmp_path / 'masks.json')
    assert status == 0, err
    numbers = json.loads((tmp_path / 'masks.json').read_text())
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in out.splitlines() if line[:1] == '|']
    assert rows[0] == ['', 'clips', 'untrained', 'trained'] and rows[-1][:2] == ['all clips', '10']
    for place, name in enumerate(('untrained', 'trained'), 2):
        by_class = {row[0]: row[place] for row in rows[2:-1]}
        assert by_class == {key: f'{value:.2f}' for key, value in numbers[name]['by_class'].items()}
        assert rows[-1][place] == f'{numbers[name]["correlation"]:.2f}'
        low, high = numbers[name]['range']
        words = describe(numbers[name]['correlation'])
        assert f'{name}: mask values from {low:.4f} to {high:.4f}; the mask {words}' in out
    with_no_mask = write_config(tmp_path, 'skeletonclr', data=tmp_path / 'set')
    status, _, err = tool(command[0], with_no_mask, file, '--device', 'cpu')
    assert status == 2 and 'SkeletonCLR has no salient mask' in err


def test_groups_are_named_and_numbered() -> None:
    module = load(f'{ANALYSIS}/plot_embedding')

    class Packed:
        path, classes = 'set', ['x']
        table = {'name': ['b', 'a', 'c'], 'subject': np.array([7, 3, 7])}

    features = module.Features(torch.zeros(2, 2), torch.zeros(2).long(), torch.zeros(2).long(), ['c', 'a'])
    coloured, names = module.coloured(features, Packed, 'subject')
    assert coloured.labels.tolist() == [1, 0] and names == ['subject 3', 'subject 7']


@pytest.mark.slow
def test_cost_of_a_config_by_module_and_of_several_as_a_table(tool, tmp_path: Path) -> None:
    config = write_config(tmp_path)
    status, out, _ = tool(f'{ANALYSIS}/get_flops.py', config, '--depth', 1, '--batch', 2)
    names = [line.split()[0] for line in out.splitlines() if line.startswith('  ') and 'parameters' not in line]
    assert status == 0 and {'encoder_q', 'encoder_k', 'mhsam'} <= set(names) and 'backbone' not in names
    other = config.with_name('other.py')
    other.write_text(f"_base_ = '{config}'\nmodel = dict(backbone=dict(base_channels=4))\n")
    status, out, _ = tool(f'{ANALYSIS}/get_flops.py', config, other, '--batch', 2)
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in out.splitlines()[2:4]]
    assert status == 0 and [row[:2] for row in rows] == [[str(path), '3 x 16 x 25 x 1'] for path in (config, other)]
    assert float(rows[1][-1]) > float(rows[0][-1]) > 0
    assert tool(f'{ANALYSIS}/get_flops.py', config, '--batch', 1)[0] == 2


@pytest.mark.slow
def test_the_cost_of_masked_models_and_of_several_layouts_is_counted(tool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # without any set
    names = ('mamp/transformer_layouts', 'stars/transformer_demo')
    status, out, _ = tool(f'{ANALYSIS}/get_flops.py', *(ROOT / f'configs/{name}.py' for name in names), '--batch', 2)
    shapes = [line.split('|')[2].strip() for line in out.splitlines()[2:4]]
    assert status == 0 and shapes == ['3 x 32 x 20 x 2', '3 x 32 x 25 x 2']


@pytest.mark.slow
def test_knn_benchmark_compares_ways_that_agree(tool, tmp_path: Path) -> None:
    sizes = ('--bank', 300, '--queries', 40, '--part', 20, '--dim', 8)
    status, out, _ = tool(f'{ANALYSIS}/benchmark_knn.py', *sizes, '--out', tmp_path / 'knn.json')
    runs = json.loads((tmp_path / 'knn.json').read_text())['runs']
    ways = ['features alone', 'toolbox', 'toolbox', 'all at once', 'one by one']
    assert status == 0 and [run['name'] for run in runs] == ways
    assert [run['queries'] for run in runs] == [40, 40, 20, 20, 20] and min(run['peak_bytes'] for run in runs) > 1e7
    assert all(name in out for name in ways)
    assert tool(f'{ANALYSIS}/benchmark_knn.py', '--k', 0)[0] == 2


@pytest.mark.slow
def test_probe_benchmark_measures_features_alone_and_the_probe(tool, tmp_path: Path) -> None:
    sizes = ('--bank', 300, '--queries', 40, '--dim', 30)
    status, out, _ = tool(f'{ANALYSIS}/benchmark_probe.py', *sizes, '--out', tmp_path / 'probe.json')
    runs = json.loads((tmp_path / 'probe.json').read_text())['runs']
    assert status == 0 and [run['name'] for run in runs] == ['features alone', 'probe'] and 'CPU seconds' in out
    assert min(run['peak_bytes'] for run in runs) > 1e7 and set(runs[1]['metrics']) == {'top1', 'heldout_top1', 'top5'}
    assert tool(f'{ANALYSIS}/benchmark_probe.py', '--bank', 1)[0] == 2


def test_two_configs_of_the_repository_that_differ_in_the_stream(tool) -> None:
    joint, bone = (CONFIGS / f'skeattnclr/stgcn_ntu60_xsub{suffix}.py' for suffix in ('', '_bone'))
    status, out, _ = tool(f'{ANALYSIS}/diff_config.py', joint, bone)
    assert status == 1
    assert [line.split() for line in out.splitlines()[2:3]] == [['stream', "'joint'", "'bone'"]]
    assert out.splitlines()[3] == 'places that only repeat one of these: 1; --all shows them'
    status, out, _ = tool(f'{ANALYSIS}/diff_config.py', joint, bone, '--all')
    assert status == 1 and 'model.data_preprocessor.stream' in out
    assert tool(f'{ANALYSIS}/diff_config.py', joint, joint)[:2] == (0, '')
    assert tool(f'{ANALYSIS}/diff_config.py', joint, bone, '--cfg-options-a', 'stream=bone')[:2] == (0, '')


def test_two_methods_differ_in_what_one_of_them_has(tool) -> None:
    ours, theirs = (CONFIGS / method / 'stgcn_ntu60_xsub.py' for method in ('skeattnclr', 'skeletonclr'))
    status, out, _ = tool(f'{ANALYSIS}/diff_config.py', ours, theirs, '--format', 'github')
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in out.splitlines() if line.startswith('|')]
    assert status == 1
    assert ['model.mhsam.num_heads', '8', diff.ABSENT] in rows
    assert ['model.type', "'SkeAttnCLR'", "'SkeletonCLR'"] in rows


def test_a_config_that_cannot_be_read_is_named(tool) -> None:
    config = CONFIGS / 'skeattnclr/stgcn_ntu60_xsub.py'
    status, _, err = tool(f'{ANALYSIS}/diff_config.py', config, 'nowhere.py')
    assert status == 2 and err.startswith('error: no config file nowhere.py')
    status, _, err = tool(f'{ANALYSIS}/diff_config.py', config, config, '--cfg-options-b', 'steram=bone')
    assert status == 2 and 'steram' in err
