"""The page on monitoring: its configs train, and each tracker receives the losses and the config."""

import re
import sys
from unittest.mock import MagicMock

import pytest

from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from tests.conftest import ROOT
from tests.engine.toy import write_set

PAGE = (ROOT / 'docs/monitoring.md').read_text()
BLOCKS = {name: code for code, name in re.findall(r'```python\n(# my_(\w+)\.py\n.*?)```', PAGE, re.DOTALL)}

# Tracker -> the method of the fake module that receives scalars, and their names in a call of it.
SCALARS = {
    'wandb': (lambda fake: fake.log, lambda call: [*call.args[0]]),
    'mlflow': (lambda fake: fake.log_metrics, lambda call: [*call.args[0]]),
    'clearml': (lambda fake: fake.Task.init().get_logger().report_scalar, lambda call: [call.kwargs['title']]),
    'aim': (lambda fake: fake.Run().track, lambda call: [call.kwargs['name']]),
}


@pytest.mark.slow
@pytest.mark.parametrize('tracker', BLOCKS)
def test_a_tracker_receives_the_losses(tracker, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, tracker, fake := MagicMock())
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / 'my.py').write_text(BLOCKS[tracker])
    options = {
        'dataset.data': str(write_set(tmp_path / 'set')),
        'num_classes': None,
        'batch_size': 4,
        'max_iters': 1,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint': None,
        'evaluation.evaluators.knn': None,
        'evaluation.evaluators.linear': None,
        'model.queue.size': 8,
    }
    cfg = read_config('my.py', options)
    cfg.work_dir = str(tmp_path / 'run')
    SkeAttnRunner.from_cfg(cfg).train()
    method, names = SCALARS[tracker]
    assert {'loss', 'lr', 'L_s'} <= {name for call in method(fake).call_args_list for name in names(call)}


def test_every_tracker_has_a_config():
    assert BLOCKS.keys() == SCALARS.keys()
