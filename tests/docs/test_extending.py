"""The pages on custom parts and backbones run as they are: their blocks become files, and their configs train."""

import importlib
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from skeattn import registry
from skeattn.augment import ClipSpec, generator
from skeattn.datasets import PackedSet
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError
from skeattn.evaluation import Features
from skeattn.models.losses import info_nce
from skeattn.skeletons import get_layout
from tests.conftest import ROOT
from tests.engine.toy import write_set

EXTENDING = (ROOT / 'docs/extending.md').read_text()
PAGE = EXTENDING + (ROOT / 'docs/backbones.md').read_text()
BLOCKS = {name: code for code, name in re.findall(r'```python\n(# (\w+\.py)\n.*?)```', PAGE, re.DOTALL)}
CONFIGS = [name.removesuffix('.py') for name, code in BLOCKS.items() if '\n_base_' in code and 'custom_imports' in code]
REGISTRIES = [value for value in vars(registry).values() if isinstance(value, registry.Registry)]

SHORT = {
    'batch_size': 4,
    'max_iters': 2,
    'evaluation.interval': 1,
    'evaluation.evaluators.knn': None,
    'evaluation.evaluators.linear': None,
    'default_hooks.checkpoint': None,
    'visualizer.vis_backends': [{'type': 'LocalVisBackend'}],
}


@pytest.fixture(scope='module', autouse=True)
def folder(tmp_path_factory) -> Iterator[Path]:
    """The folder of a reader who saved every block; what the blocks register is forgotten afterwards."""
    folder = tmp_path_factory.mktemp('reader')
    known = [(found, dict(found.module_dict)) for found in REGISTRIES]
    for name, code in BLOCKS.items():
        (folder / name).write_text(code)
    (folder / 'configs').symlink_to(ROOT / 'configs')
    write_set(folder / 'data/demo', clips=12, test_clips=4)
    record(folder / 'recordings')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        importlib.import_module('pack_recordings')  # a script: it converts
        yield folder
    for found, modules in known:
        found.module_dict.clear()
        found.module_dict.update(modules)


def record(folder: Path) -> None:
    """What the page's converter reads: files of three actors, one of them unusable."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        joints = rng.normal(size=(40, 25 if i else 24, 3))
        np.savez(folder / f'{i:02d}.npz', joints=joints, action=i % 2, actor=1 + i % 3)


def train(name: str, **options: Any) -> SkeAttnRunner:
    """Two iterations of a config of the page."""
    cfg = read_config(f'{name}.py', {**SHORT, **options})
    if 'queue' in cfg.model:
        cfg.model.queue.size = 16
    runner = SkeAttnRunner.from_cfg(cfg)
    runner.train()
    return runner


# Where the part of each config comes to stand.
PARTS: dict[str, Callable[[SkeAttnRunner], Any]] = {
    'my_config': lambda runner: runner.model.encoder_q.backbone,
    'my_neck': lambda runner: runner.model.mhsam,
    'my_loss': lambda runner: runner.model.contrast,
    'my_augmentation': lambda runner: runner.model.data_preprocessor.ops['key']['stretch'],
    'my_evaluator': lambda runner: runner.val_loop.evaluator['means'],
    'my_data': lambda runner: runner.train_dataloader.dataset,
    'my_method': lambda runner: runner.model,
    'my_hook': lambda runner: next(hook for hook in runner.hooks if type(hook).__module__ == 'queue_alike'),
}


def test_every_config_of_the_page_is_trained_here():
    assert set(CONFIGS) == set(PARTS)


@pytest.mark.slow
@pytest.mark.parametrize('name', PARTS)
def test_a_config_of_the_page_trains_two_iterations_on_its_part(name):
    runner = train(name)
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    (module,) = runner.cfg.custom_imports.imports
    assert type(PARTS[name](runner)).__module__ == module
    if name == 'my_hook':
        alike, _ = runner.message_hub.get_scalar('train/queue_alike').data
        assert len(alike) == 2 and all(0 < value < 1 for value in alike)
    if name == 'my_evaluator':
        assert 0 <= runner.message_hub.get_scalar('val/means/top1').current() <= 100


def test_the_neck_gives_a_joint_one_weight():
    torch.manual_seed(0)
    feature_map = torch.randn(2, 2, 8, 5, 25)
    mask = importlib.import_module('joint_mask').JointMask(8)(feature_map)
    assert mask.shape == feature_map.shape and 0 < mask.min() < mask.max() < 1
    assert torch.equal(mask, mask[:, :, :1, :1].expand_as(mask))


@pytest.mark.parametrize('extra', [False, True])
def test_the_loss_is_info_nce_without_the_positive_below(extra):
    draws = torch.Generator().manual_seed(0)
    query, key, negative = (normalize(torch.randn(4, 8, generator=draws, dtype=torch.float64)) for _ in range(3))
    queue = normalize(torch.randn(8, 16, generator=draws, dtype=torch.float64), dim=0)
    more = (negative,) if extra else ()
    whole = info_nce(query[:1], key[:1], queue, 0.5, *(x[:1] for x in more))
    found = importlib.import_module('decoupled').DecoupledNCE(0.5)(query[:1], key[:1], queue, *(x[:1] for x in more))
    share = (-whole).exp()  # of the positive in InfoNCE's denominator
    assert torch.allclose(found, whole + (1 - share).log())


def test_the_augmentation_stretches_each_axis():
    stretch, spec = (
        importlib.import_module('stretch').Stretch(0.3),
        ClipSpec(frames=6, layout=get_layout('ntu25'), batch=5),
    )
    params = stretch.draw(spec, generator(0, 0, 'query', 'stretch'))
    x = torch.randn(5, 3, 6, 25, 2, generator=torch.Generator().manual_seed(0))
    factors = stretch.apply(x, params, lambda offset: x) / x
    assert torch.allclose(factors, params['factors'].view(5, 3, 1, 1, 1).expand_as(x))
    assert len(params['factors'].unique()) == 15 and (params['factors'] - 1).abs().max() <= 0.3


def test_the_evaluator_finds_the_nearest_class():
    x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    labels, unknown = torch.tensor([0, 0, 2]), torch.full((3,), -1)
    bank = Features(x, labels, unknown, ['a', 'b', 'c'])
    test = Features(3 * x, torch.tensor([0, 2, 2]), unknown, ['d', 'e', 'f'])
    assert importlib.import_module('class_means').ClassMeans()(bank, test) == {'top1': pytest.approx(200 / 3)}


def test_the_converter_leaves_out_what_is_unusable():
    packed = PackedSet.open('data/recordings')
    assert len(packed) == 11 and packed.classes == ['wave', 'clap']
    (skipped,) = packed.manifest['skipped']
    assert skipped['name'] == '00' and '25 joints' in skipped['reason']


def test_the_config_over_the_converted_set_trains():
    runner = train('my_recordings')
    assert len(runner.train_dataloader.dataset) == 7 and runner.iter == 2


def test_the_swings_are_learnt_by_a_look_at_their_pace():
    data = importlib.import_module('swings').Swings('ntu25')
    speed = data.clips.diff(dim=2).abs().mean(dim=(1, 2, 3, 4))
    assert speed[data.labels == 0].max() < speed[data.labels == 1].min()


def test_the_method_predicts_one_view_from_the_other_and_pulls_at_no_target():
    simsiam = importlib.import_module('simsiam')
    draws = torch.Generator().manual_seed(0)
    p, z = (torch.randn(4, 8, generator=draws, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = simsiam.distance(p, z)
    assert torch.allclose(found, -(normalize(p) * normalize(z)).sum(dim=1).mean())
    found.backward()
    assert z.grad is None and p.grad.abs().sum() > 0


@pytest.mark.slow
def test_the_method_learns_and_keeps_its_embeddings_apart():
    hub = train('my_method', max_iters=30, **{'train_cfg.max_epochs': 30}).message_hub
    losses, _ = hub.get_scalar('train/loss').data
    spread, _ = hub.get_scalar('train/spread').data
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1
    assert min(spread) > 0.5


def test_the_page_quotes_the_error_of_a_hook_without_work(folder):
    (folder / 'forgetful.py').write_text(BLOCKS['my_method.py'].replace('momentum=None, ', ''))
    with pytest.raises(ConfigError) as raised:
        train('forgetful')
    assert f'```\nerror: {raised.value}\n```' in PAGE


def test_every_file_that_a_method_touches_is_there():
    section = EXTENDING.split('## A method inside the package')[1]
    files = re.findall(r'`((?:\w+/)+\w+\.(?:py|md))`', section)
    assert len(files) > 30
    assert not [name for name in files if not (ROOT / name).is_file()]
