"""The model card and the index as text."""

import pytest
import yaml

from skeattn.files import sha256
from skeattn.results import record as records
from skeattn.results.record import Record, SourceRecord
from skeattn.zoo.card import index, model_card
from skeattn.zoo.entry import Entry, PublishedFile, write_entry

RECORD = Record(
    name='SkeAttnCLR',
    data='data/demo',
    split='xsub',
    stream='joint',
    seed=3,
    clips={'train': 26, 'test': 10, 'copies': 2},
    versions={'torch': '2.13.0'},
    config='configs/skeattnclr/stgcn_demo.py',
    sources={
        'backbone': SourceRecord(
            metrics={'knn/top1_k1': 45.348, 'retrieval/mAP': 20.0}, metrics_without_copies={'knn/top1_k1': 40.0}
        ),
        'backbone@joints': SourceRecord(readout='joints', metrics={'knn/top1_k1': 50.0}),
    },
)
ENTRY = Entry(
    name='toy',
    weights=PublishedFile(file='toy-00000000.safetensors', sha256='0' * 64),
    checkpoint_sha256='1' * 64,
    facts={'method': 'SkeAttnCLR', 'backbone': 'STGCN', 'channels': ['x', 'y'], 'data': 'data/demo', 'epoch': 30},
)
CARD = """# toy

Encoder STGCN, trained by SkeAttnCLR on data/demo.

## Use

```python
from skeattn.apis import load_encoder

encoder = load_encoder('toy')  # below $SKEATTN_ZOO; or the path of this folder
features = encoder.embed(clips)
```

`skeattn verify` with the path of this folder checks its digests and computes its numbers again.

## Facts

| fact       | value      |
|------------|------------|
| `method`   | SkeAttnCLR |
| `backbone` | STGCN      |
| `channels` | x, y       |
| `data`     | data/demo  |
| `epoch`    | 30         |

## Results

### data/demo, xsub

`a.json`: data/demo, split xsub, seed 3. clips: train 26, test 10, copies 2. versions: torch 2.13.0.

**knn**

| source          | readout   | test clips     | top1_k1   |
|-----------------|-----------|----------------|-----------|
| backbone        | mean      | all            | 45.35     |
| backbone        | mean      | without copies | 40.00     |
| backbone@joints | joints    | all            | 50.00     |

**retrieval**

| source   | readout   | test clips   | mAP   |
|----------|-----------|--------------|-------|
| backbone | mean      | all          | 20.00 |
"""
PAGE = """# Published encoders

| name                 | method     | backbone   | stream   | layout   | data      | number            |
|----------------------|------------|------------|----------|----------|-----------|-------------------|
| [toy](toy/README.md) | SkeAttnCLR | STGCN      |          |          | data/demo | knn/top1_k1 45.35 |

The number is that of the first metric of the first record; the page of an encoder has all of them.
"""


@pytest.fixture
def zoo(tmp_path):
    """A folder with one encoder and one record."""
    records.write(tmp_path / 'toy/a.json', RECORD)
    file = PublishedFile(file='a.json', sha256=sha256(tmp_path / 'toy/a.json'))
    write_entry(tmp_path / 'toy', Entry(**{**vars(ENTRY), 'records': [file]}))
    return tmp_path


def test_the_card() -> None:
    assert model_card(ENTRY, {'a.json': RECORD}) == CARD


def test_a_card_without_records_says_so() -> None:
    assert model_card(ENTRY, {}).endswith('## Results\n\nNo evaluation was published with these weights.\n')


def test_the_page_of_all_encoders(zoo) -> None:
    (zoo / '.toy.unfinished').mkdir()
    _, page = index(zoo)
    assert page.name == 'encoders.md' and page.read_text() == PAGE


def test_the_index_has_the_form_of_openmmlab(zoo) -> None:
    file, _ = index(zoo)
    first, content = file.read_bytes(), yaml.safe_load(file.read_text())
    task = 'Self-Supervised Skeleton Action Recognition'
    assert content['Collections'] == [{'Name': 'SkeAttnCLR', 'Metadata': {'Tasks': [task]}}]
    (model,) = content['Models']
    names = ('Name', 'In Collection', 'README', 'Weights')
    assert [model[name] for name in names] == ['toy', 'SkeAttnCLR', 'toy/README.md', 'toy/toy-00000000.safetensors']
    assert model['Metadata'] == {
        'Training Data': 'data/demo',
        'Architecture': 'STGCN',
        'Epochs': 30,
        'Config': 'configs/skeattnclr/stgcn_demo.py',
    }
    assert [(result['Dataset'], result['Metrics']) for result in model['Results']] == [
        ('data/demo xsub, backbone, test clips: all', {'knn/top1_k1': 45.348, 'retrieval/mAP': 20.0}),
        ('data/demo xsub, backbone, test clips: without copies', {'knn/top1_k1': 40.0}),
        ('data/demo xsub, backbone@joints, test clips: all', {'knn/top1_k1': 50.0}),
    ]
    assert index(zoo)[0].read_bytes() == first


def test_an_empty_folder_has_an_index(tmp_path) -> None:
    file, page = index(tmp_path)
    assert yaml.safe_load(file.read_text()) == {'Collections': [], 'Models': []}
    wanted = '# Published encoders\n\nNone yet; `skeattn publish CHECKPOINT --out FOLDER` adds one.\n'
    assert page.read_text() == wanted
