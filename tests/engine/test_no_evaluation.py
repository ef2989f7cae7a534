"""Pre-training needs neither labels nor a test part: evaluation gives one line and training goes to its end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from skeattn.datasets import PackedSet, PackedWriter
from skeattn.engine import SkeAttnRunner
from tests.engine.toy import toy_config, toy_runner, write_set

pytestmark = pytest.mark.slow


def relabelled(folder: Path, labels: Callable[[int], int]) -> Path:
    """The toy set with other labels; its ten test clips come first."""
    source = PackedSet.open(write_set(folder / 'source'))
    with PackedWriter(folder / 'set', 'toy', 'ntu25', source.classes, source.splits) as writer:
        for i in range(len(source)):
            clip, subject = source.clip(i), int(source.table['subject'][i])
            writer.add(str(source.table['name'][i]), clip, label=labels(i), subject=subject)
    return folder / 'set'


@pytest.mark.parametrize(
    ('labels', 'split', 'reason'),
    [
        (lambda i: -1, 'xsub', 'none of the 26 training clips has a label, such as clip010'),
        (lambda i: -1 if i < 10 else 0, 'xsub', 'none of the 10 test clips has a label, such as clip000'),
        (lambda i: i % 3, 'all', "split 'all' leaves no test clips"),
        (lambda i: -1, 'all', 'none of the 36 training clips has a label, such as clip000'),
    ],
    ids=['no labels', 'no test labels', 'no test part', 'neither'],
)
def test_training_runs_and_says_once_that_nothing_is_evaluated(tmp_path, labels, split, reason):
    data = relabelled(tmp_path, labels)
    runner = toy_runner(tmp_path, data=data, dataset__split=split, evaluation__interval=1)
    runner.train()
    assert (tmp_path / 'run/epoch_3.pth').is_file() and not (tmp_path / 'run/best.json').exists()
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    lines = [line for line in log.splitlines() if 'no evaluation: ' in line]
    assert len(lines) == 1 and reason in lines[0]
    assert runner.val_loop.run() == {}


def test_clips_without_a_label_train_and_are_left_out_of_the_monitor(tmp_path):
    """Few labels: the loss sees every clip, bank and accuracy only those with a label."""
    data = relabelled(tmp_path, lambda i: -1 if i % 2 else i % 3)
    runner = SkeAttnRunner.from_cfg(toy_config(tmp_path, data=data))
    runner.train()
    assert len(runner.train_dataloader.dataset) == 26
    assert {name: len(clips) for name, clips in runner.val_loop.dataloader.items()} == {'bank': 13, 'test': 5}
    scalars = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert any('knn/top1_k1' in json.loads(line) for line in scalars)


def test_a_classifier_without_labels_says_what_to_set(tmp_path):
    import torch

    from skeattn.errors import ConfigError
    from skeattn.models import Recognizer

    class Logits(Recognizer):
        def __init__(self):
            torch.nn.Module.__init__(self)

        def embed(self, clips, source):
            return torch.zeros(len(clips), 3)

    with pytest.raises(ConfigError, match=r'has no label.*dataset.subset=dict\(fraction=1\.0\)'):
        Logits().loss({'query': torch.zeros(2, 1)}, torch.tensor([0, -1]))
