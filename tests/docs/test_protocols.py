"""The examples of docs/protocols.md in Python run as they are."""

import re

import numpy as np
import pytest

from skeattn.checkpoint import write_checkpoint
from skeattn.engine.build import load_model
from skeattn.engine.config import read_config
from skeattn.results import record as records
from tests.conftest import ROOT
from tests.engine.toy import write_set

SECTION = (ROOT / 'docs/protocols.md').read_text().split('\n## In Python\n')[1].split('\n## ')[0]
CODE = ''.join(re.findall(r'```python\n(.*?)```', SECTION, re.DOTALL))


@pytest.fixture(scope='module')
def names(tmp_path_factory):
    """Everything that the examples define, after they ran in the folder of a reader."""
    folder = tmp_path_factory.mktemp('reader')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    write_set(folder / 'data/demo', clips=12, test_clips=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cfg = read_config('configs/skeattnclr/stgcn_demo.py')
        checkpoint = {'state_dict': load_model(cfg).state_dict(), 'meta': {'cfg': cfg.pretty_text}}
        write_checkpoint('work_dirs/skeattnclr/stgcn_demo/epoch_28.pth', checkpoint)
        namespace = {'clips': [np.random.default_rng(i).normal(size=(20 + i, 25, 3)) for i in range(3)]}
        exec(CODE, namespace)
        yield namespace


@pytest.mark.slow
def test_the_record_is_written_as_it_is_returned(names):
    """Kind N8: paths as text were refused in some places; the page gives one as text."""
    assert records.read('record.json') == names['record']
    metrics = names['record'].sources['backbone'].metrics
    assert (
        0 <= metrics['linear/top1'] <= 100
        and metrics['knn/top1_k1'] == names['KNNEvaluator']()(names['bank'], names['test'])['top1_k1']
    )


@pytest.mark.slow
def test_features_of_arrays_and_of_the_set_have_one_width(names):
    assert names['features'].shape == (3, names['bank'].x.shape[1]) and np.isfinite(names['features']).all()
    assert len(names['bank']) == 12 and len(names['test']) == 4
    assert len(names['result'].curves['loss']) == 50
