"""Learning rates of released schedules at fractional epochs."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from skeattn.engine.places import PARAM_SCHEDULERS
from tests.fidelity.golden import Golden, assert_close


@pytest.mark.parametrize(('case', 'length'), [('mamp_step', 40), ('mamp_joint_step', 40), ('pstl_step', 1)])
def test_warm_up_and_cosine_decay(case, length):
    """In steps of 1 / ``length`` epochs."""
    golden = Golden(case)
    meta = golden.meta
    wrapper = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=meta['base_lr']))
    cfg = dict(type='WarmupCosineLR', warmup=meta['warmup_epochs'], epochs=meta['epochs'], convert_to_iter_based=True)
    cfg['eta_min'] = meta.get('min_lr', 0)
    schedule = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=wrapper, epoch_length=length))
    steps = [round(float(epoch) * length) for epoch in golden['schedule/epoch']]
    assert [step / length for step in steps] == golden['schedule/epoch'].tolist()
    rates = []
    for step in range(max(steps) + 1):
        rates += [wrapper.param_groups[0]['lr']] * (step in steps)
        wrapper.step()
        schedule.step()
    assert_close(torch.tensor(rates) / meta['base_lr'], golden['schedule/lr'] / meta['base_lr'], 'lr', 1e-12)
