"""Two CPU processes fine-tune as one does."""

import json

import pytest
import torch

from skeattn.apis import load_model
from skeattn.checkpoint import read_checkpoint, write_checkpoint
from tests.distributed.finetune_worker import main
from tests.distributed.launching import two_processes
from tests.engine.toy import toy_config


@pytest.mark.slow
def test_two_processes_end_where_one_does(tmp_path):
    """Weights, scores, and the losses by which the rate is lowered; a batch of 25 clips becomes one of 24."""
    torch.manual_seed(0)
    cfg = toy_config(tmp_path, model__init_cfg=None, model__backbone__dropout=0.0)
    (tmp_path / 'toy.py').write_text(cfg.pretty_text)
    write_checkpoint(tmp_path / 'checkpoint.pth', {'state_dict': load_model(cfg).state_dict()})
    main(tmp_path, 'one', 24)
    two_processes(main, tmp_path, 'two', 25)
    one, two = (json.loads((tmp_path / f'{name}.json').read_text()) for name in ('one', 'two'))
    assert two['curves']['loss'] == pytest.approx(one['curves']['loss'], abs=1e-6)
    assert two['curves']['lr'] == one['curves']['lr']
    torch.testing.assert_close(torch.tensor(two['scores']), torch.tensor(one['scores']), rtol=0, atol=1e-5)
    a, b = (read_checkpoint(next((tmp_path / name).rglob('epoch_4.pth'))) for name in ('one', 'two'))
    assert (a['meta']['world_size'], b['meta']['world_size']) == (1, 2)
    for name, value in a['state_dict'].items():
        torch.testing.assert_close(b['state_dict'][name], value, rtol=0, atol=1e-5)
