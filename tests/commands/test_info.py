"""info: one page of facts about whatever is named."""

import json
from pathlib import Path

import pytest

from skeattn.engine import SkeAttnRunner
from skeattn.errors import ConfigError, SkeAttnError
from skeattn.files import sha256
from tests.conftest import ROOT
from tests.engine.toy import CLASSES, CLIPS, TEST_CLIPS, call, toy_config

RECORD = ROOT / 'docs/results/protocols_utdmhad_xsub/features_seed0.json'


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """A folder with a packed set and the work_dir of a short training."""
    folder = tmp_path_factory.mktemp('info')
    SkeAttnRunner.from_cfg(toy_config(folder, max_iters=1, evaluation=None)).train()
    return folder


@pytest.fixture
def info(capsys):
    """``info(x) -> facts``."""

    def read(*arguments) -> dict:
        call('info', *arguments, '--json')
        return json.loads(capsys.readouterr().out)

    return read


def test_a_config(info) -> None:
    facts = info('skeattnclr/stgcn_nwucla_xview')
    assert facts['config'] == 'configs/skeattnclr/stgcn_nwucla_xview.py' and Path(facts['file']).is_file()
    wanted = {'method': 'SkeAttnCLR', 'backbone': 'STGCN', 'stream': 'joint', 'layout': 'kinect20', 'classes': 10}
    assert wanted.items() <= facts.items() and (facts['data'], facts['split']) == ('data/nwucla', 'xview')


@pytest.mark.slow
def test_a_checkpoint_and_the_work_dir_that_holds_it(info, trained) -> None:
    (path,) = (trained / 'run').glob('epoch_*.pth')
    facts = info(path)
    assert (facts['epoch'], facts['iteration'], facts['method'], facts['layout']) == (1, 1, 'SkeAttnCLR', 'ntu25')
    assert facts['sha256'] == sha256(path) and 'torch' in facts['versions']
    assert len(facts['names of classes'].split(', ')) == CLASSES
    folder = info(trained / 'run')
    assert folder['checkpoints'] == path.name and folder['starts'] == 1
    assert facts.items() <= folder.items()


def test_a_packed_set_by_folder_or_manifest(info, trained) -> None:
    facts = info(trained / 'set')
    assert (facts['clips'], facts['layout']) == (CLIPS + TEST_CLIPS, 'ntu25, 25 joints')
    assert facts['splits'][0].startswith('xsub: ') and facts['classes'].startswith(f'{CLASSES}: ')
    assert info(trained / 'set/manifest.json') == facts


def test_a_record(info) -> None:
    facts = info(RECORD)
    assert facts['config'] == 'configs/skeattnclr/stgcn_utdmhad_xsub_common.py' and facts['protocols'].startswith(
        'knn, linear'
    )
    assert 'knn/top1_k1 66.28' in facts['results'][0]


def test_a_method_and_the_toolbox(info) -> None:
    assert 'skeattnclr/stgcn_demo' in info('skeattnclr')['configs']
    assert any(line.startswith('skeattnclr (') for line in info()['methods'])


def test_a_folder_with_the_name_of_a_method_is_a_folder(info, trained, tmp_path, monkeypatch) -> None:
    (tmp_path / 'skeattnclr').symlink_to(trained / 'run')
    assert info(tmp_path / 'skeattnclr')['checkpoints']
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match='neither a packed set nor the work_dir of a training'):
        call('info', '.')
    with pytest.raises(ConfigError, match='no such file, folder, config or method'):
        call('info', 'absent/skeattnclr')


def test_the_page_has_a_line_per_fact(capsys) -> None:
    call('info', 'stars')
    first, second, *more = capsys.readouterr().out.splitlines()
    assert first == 'method   stars' and second.startswith('configs  stars/')
    assert more and all(line.startswith('         stars/') for line in more)


def test_what_is_nothing_or_damaged_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such file, folder, config or method; did you mean 'skeattnclr'"):
        call('info', 'skeatnclr')
    with pytest.raises(ConfigError, match='neither a packed set nor the work_dir of a training'):
        call('info', tmp_path)
    (tmp_path / 'a.pth').write_text('no weights')
    (tmp_path / 'a.json').write_text('{}')
    for name in ('a.pth', 'a.json'):
        with pytest.raises(SkeAttnError, match=name):
            call('info', tmp_path / name)
