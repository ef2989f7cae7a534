"""The model card and the list of a zoo, written from the headers of published files."""

from pathlib import Path

import pytest
import torch
import yaml

from skeattn.errors import CheckpointError
from skeattn.safe_tensors import pack_tensors, read_facts
from skeattn.zoo.card import card
from skeattn.zoo.index import BEGIN, EMPTY, END, index_of, index_text, page_list, with_list
from tests.conftest import ROOT

RESULT = {
    'protocol': 'probe',
    'source': 'backbone@joints',
    'metrics': {'top1': 87.25, 'heldout_top1': 85.5},
    'settings': {'type': 'RidgeProbe'},
    'seed': 0,
    'data': 'nwucla',
    'split': 'xview',
    'manifest_sha256': 'f' * 64,
    'clips': {'train': 1018, 'test': 464},
    'record': 'result.json',
}
TUNED = {
    **RESULT,
    'protocol': 'finetune',
    'source': 'backbone',
    'metrics': {'top1': 90.0},
    'settings': {'type': 'FineTune'},
}
FACTS = {
    'method': 'SkeAttnCLR',
    'backbone': 'STGCN',
    'stream': 'joint',
    'layout': 'kinect20',
    'channels': ['x', 'y', 'z'],
    'num_frames': 64,
    'batch_size': 128,
    'seed': 0,
    'epoch': 300,
    'versions': {'skeattn': '0.2.0', 'torch': '2.13.0'},
    'manifest_sha256': 'f' * 64,
    'paper_vs_release': {'mu': [0.5, 'paper']},
    'config': {
        'dataset': {'data': 'data/nwucla'},
        'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
    },
    'omitted': ['encoder_k', 'queue'],
    'probe': {'source': 'backbone@joints', 'protocol': 'probe', 'temperature': 0.5, 'classes': ['a', 'b']},
    'published': {
        'name': 'toy',
        'config': 'skeattnclr/stgcn_nwucla_xview',
        'licence': 'apache-2.0',
        'checkpoint_sha256': 'a' * 64,
        'results': [RESULT, TUNED],
        'skeattn': '0.2.0',
    },
}
FILE = 'toy-0123456789abcdef.safetensors'
CARD = """\
---
license: apache-2.0
library_name: skeattn
tags: [skeleton-action-recognition, skeleton, action-recognition]
---

# toy

SkeAttnCLR with the backbone STGCN, pre-trained without labels on `nwucla`, split `xview`. It reads clips of the \
layout `kinect20`, channels x, y, z, stream joint, 64 frames.

## Use

```python
from skeattn.apis import load_encoder
encoder = load_encoder('toy')     # or the path or the address of toy-0123456789abcdef.safetensors
features = encoder.embed(clips)
predictions = encoder.classify(clips)   # by the stored probe, on backbone@joints
```

## Numbers

| features          | protocol   | metric       |   value |
|-------------------|------------|--------------|---------|
| `backbone@joints` | probe      | top1         |   87.25 |
| `backbone@joints` | probe      | heldout_top1 |   85.50 |
| `backbone`        | finetune   | top1         |   90.00 |

Of the split `xview` of `nwucla`, 464 test clips, with 1018 training clips. `skeattn verify toy --data data/nwucla` \
evaluates the numbers again. Those of protocols that train the network further are taken from the record.

## Training

|                              |                                                                    |
|------------------------------|--------------------------------------------------------------------|
| config                       | `skeattnclr/stgcn_nwucla_xview`                                    |
| epochs                       | 300                                                                |
| batch size                   | 128                                                                |
| optimiser                    | SGD, lr 0.1                                                        |
| seed                         | 0                                                                  |
| versions                     | skeattn 0.2.0, torch 2.13.0                                        |
| set (sha256 of its manifest) | `ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff` |

Choices in which the paper and its released code differ:

| choice   | value   | origin   |
|----------|---------|----------|
| `mu`     | `0.5`   | paper    |

## File

|                        |                                                                    |
|------------------------|--------------------------------------------------------------------|
| file                   | `toy-0123456789abcdef.safetensors`                                 |
| left out               | `encoder_k`, `queue`                                               |
| probe                  | `probe` on `backbone@joints`                                       |
| licence of the weights | apache-2.0                                                         |
| checkpoint (sha256)    | `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` |
| records                | `result.json`                                                      |
| written by             | skeattn 0.2.0                                                      |
"""
LIST = f"""\
| name | method | stream | data | features | number | value | file |
| toy | SkeAttnCLR | joint | nwucla xview | backbone@joints | probe/top1 | 87.25 | [`{FILE}`](https://h/toy/{FILE}) |
| | | | | backbone | finetune/top1 | 90.00 | |"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one encoder and a folder of something else."""
    for name in ('toy', 'notes'):
        (tmp_path / 'zoo' / name).mkdir(parents=True)
    (tmp_path / 'zoo/toy' / FILE).write_bytes(pack_tensors({'w': torch.ones(1)}, FACTS))
    return tmp_path / 'zoo'


def test_the_card_is_written_from_the_facts():
    assert card(Path('zoo/toy') / FILE, FACTS) == CARD


@pytest.mark.slow
def test_the_card_of_a_published_encoder_is_that_of_its_header(published):
    text = (published.parent / 'README.md').read_text()
    assert text == card(published, read_facts(published)) and 'not stated' in text


def test_the_index_lists_what_the_headers_say(folder):
    index = index_of(folder, 'https://host/zoo/')
    (model,) = index['Models']
    digest = model.pop('SHA256')
    assert len(digest) == 64
    assert (
        yaml.safe_load(index_text(index))
        == index
        == {
            'Collections': [{'Name': 'SkeAttnCLR', 'README': 'configs/skeattnclr/README.md'}],
            'Models': [
                {
                    'Name': 'toy',
                    'In Collection': 'SkeAttnCLR',
                    'Config': 'configs/skeattnclr/stgcn_nwucla_xview.py',
                    'Metadata': {
                        'Training Data': 'nwucla',
                        'Epochs': 300,
                        'Backbone': 'STGCN',
                        'Layout': 'kinect20',
                        'Stream': 'joint',
                    },
                    'Results': [
                        {
                            'Task': 'Skeleton Action Recognition',
                            'Dataset': 'nwucla xview',
                            'Features': source,
                            'Metrics': metrics,
                        }
                        for source, metrics in (
                            ('backbone@joints', {'probe/top1': 87.25, 'probe/heldout_top1': 85.5}),
                            ('backbone', {'finetune/top1': 90.0}),
                        )
                    ],
                    'File': FILE,
                    'Weights': f'https://host/zoo/toy/{FILE}',
                    'README': 'https://host/zoo/toy/README.md',
                }
            ],
        }
    )


def test_the_list_of_the_page(folder):
    def cells(text):
        return [[cell.strip() for cell in line.split('|')] for line in text.splitlines()]

    found, expected = cells(page_list(index_of(folder, 'https://h'))), cells(LIST)
    assert [found[0], *found[2:]] == expected
    assert f'`{FILE}`' in page_list(index_of(folder)) and 'https://' not in page_list(index_of(folder))


def test_a_page_keeps_its_text(folder):
    page = f'# Zoo\n\n{BEGIN}\n\nold\n\n{END}\n\nmore\n'
    written = with_list(page, index_of(folder))
    assert written == f'# Zoo\n\n{BEGIN}\n\n{page_list(index_of(folder))}\n\n{END}\n\nmore\n'
    assert with_list(written, index_of(folder)) == written
    with pytest.raises(ValueError, match='it lacks the lines'):
        with_list('# Zoo\n', index_of(folder))


def test_a_zoo_without_encoders(tmp_path):
    for folder in (tmp_path, tmp_path / 'absent'):
        assert page_list(index_of(folder)) == EMPTY
        assert index_text(index_of(folder)) == 'Collections: []\nModels: []\n'


def test_the_page_and_the_index_of_the_repository_agree():
    index, page = yaml.safe_load((ROOT / 'model-index.yml').read_text()), (ROOT / 'docs/zoo.md').read_text()
    assert with_list(page, index) == page and index_text(index) == (ROOT / 'model-index.yml').read_text()


def test_the_tool_writes_both(folder, tool, tmp_path):
    (tmp_path / 'page.md').write_text(f'{BEGIN}\n{END}\n')
    paths = ('--index', tmp_path / 'index.yml', '--page', tmp_path / 'page.md')
    status, out, _ = tool('model_index.py', folder, '--address', 'https://host/zoo', *paths)
    assert status == 0 and out.startswith('1 published encoders: ')
    index = index_of(folder, 'https://host/zoo')
    assert (tmp_path / 'index.yml').read_text() == index_text(index)
    assert (tmp_path / 'page.md').read_text() == f'{BEGIN}\n\n{page_list(index)}\n\n{END}\n'
    (tmp_path / 'page.md').write_text('')
    status, _, err = tool('model_index.py', folder, *paths)
    assert status == 2 and err.startswith('error: --page ') and err.count('\n') == 1


@pytest.mark.parametrize('change', [lambda facts: facts.pop('published'), lambda facts: facts.update(config=3)])
def test_a_damaged_header_is_one_line(folder, change):
    facts = {**FACTS}
    change(facts)
    (folder / 'toy' / FILE).write_bytes(pack_tensors({'w': torch.ones(1)}, facts))
    with pytest.raises(CheckpointError, match=f'{FILE} is damaged or not published by skeattn'):
        index_of(folder)
