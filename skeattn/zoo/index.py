"""The list of a zoo: ``model-index.yml`` from the headers of published files, and the table of the docs from that."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from skeattn.errors import CheckpointError
from skeattn.files import sha256
from skeattn.published import published_file, published_folders
from skeattn.safe_tensors import read_facts
from skeattn.toolbox import CONFIGS
from skeattn.zoo.card import stream_of, training_data
from skeattn.zoo.publish import CARD

BEGIN, END = '<!-- The list below is written by tools/model_index.py. -->', '<!-- The list above is generated. -->'
EMPTY = 'No encoder is published yet.'
TASK = 'Skeleton Action Recognition'


def index_of(zoo: Path, address: str = '') -> dict[str, Any]:
    """The index of a folder of published encoders.

    Args:
        zoo: the folder.
        address: at which the folder can be downloaded; empty if it cannot.

    Raises:
        CheckpointError: a file is damaged.
    """
    models = [_model(folder, address) for folder in published_folders(zoo)]
    methods = dict.fromkeys(model['In Collection'] for model in models)
    return {'Collections': [_collection(method) for method in methods], 'Models': models}


def index_text(index: Mapping[str, Any]) -> str:
    """The text of ``model-index.yml``."""
    return yaml.safe_dump(dict(index), sort_keys=False, allow_unicode=True, width=120)


def page_list(index: Mapping[str, Any]) -> str:
    """The list of the docs, as Markdown."""
    if not index['Models']:
        return EMPTY
    headers = ('name', 'method', 'stream', 'data', 'features', 'number', 'value', 'file')
    rows = [row for model in index['Models'] for row in _rows(model)]
    return tabulate(rows, headers, tablefmt='github', disable_numparse=True)


def with_list(page: str, index: Mapping[str, Any]) -> str:
    """A page whose text between the marks is the list.

    Raises:
        ValueError: it has no marks.
    """
    before, found, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f'it lacks the lines {BEGIN!r} and {END!r}')
    return f'{before}{BEGIN}\n\n{page_list(index)}\n\n{END}{after}'


def _model(folder: Path, address: str) -> dict[str, Any]:
    file = published_file(folder)
    assert file is not None
    try:
        facts = read_facts(file)
        published, config = facts['published'], facts['published']['config']
        model = {
            'Name': published['name'],
            'In Collection': facts['method'],
            **({'Config': f'configs/{config}.py'} if config else {}),
            'Metadata': {
                'Training Data': training_data(facts),
                'Epochs': facts.get('epoch'),
                'Backbone': facts.get('backbone'),
                'Layout': facts.get('layout'),
                'Stream': stream_of(facts),
            },
            'Results': [
                {
                    'Task': TASK,
                    'Dataset': f'{result["data"]} {result["split"]}',
                    'Features': result['source'],
                    'Metrics': {f'{result["protocol"]}/{key}': round(v, 4) for key, v in result['metrics'].items()},
                }
                for result in published['results']
            ],
            'File': file.name,
            'SHA256': sha256(file),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f'{file} is damaged or not published by skeattn ({error!r:.100})') from error
    if address:
        model['Weights'] = f'{address.rstrip("/")}/{folder.name}/{file.name}'
        model['README'] = f'{address.rstrip("/")}/{folder.name}/{CARD}'
    return model


def _collection(method: str) -> dict[str, Any]:
    readme = f'configs/{method.lower()}/{CARD}'
    return {'Name': method, **({'README': readme} if (CONFIGS.parent / readme).is_file() else {})}


def _rows(model: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for the first number of each result."""
    data, rows = model['Metadata'], []
    weights = f'[`{model["File"]}`]({model["Weights"]})' if 'Weights' in model else f'`{model["File"]}`'
    for place, result in enumerate(model['Results']):
        metric, value = next(iter(result['Metrics'].items()), ('', None))
        first = (model['Name'], model['In Collection'], data['Stream'], result['Dataset'])
        number = '' if value is None else f'{value:.2f}'
        rows.append(
            (*(first if not place else ('',) * 4), result['Features'], metric, number, '' if place else weights)
        )
    return rows
