"""The model card of a published encoder: Markdown, from the facts in its file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from skeattn.zoo.results import Result, can_be_repeated

SUPERVISED = 'Recognizer'


def card(file: Path, facts: Mapping[str, Any]) -> str:
    """The text of the card.

    Args:
        file: the published file.
        facts: of its header.
    """
    published = facts['published']
    name, results = published['name'], published['results']
    sections = [
        _front(facts),
        f'# {name}',
        _summary(facts, results[0]),
        _use(file, facts),
        '## Numbers',
        numbers(results),
        _evaluated(name, results),
        '## Training',
        _table(_training(facts)),
        *_choices(facts),
        '## File',
        _table(_file(file, facts)),
    ]
    return '\n\n'.join(sections) + '\n'


def numbers(results: Iterable[Result]) -> str:
    """A table of all metrics, accuracies in percent."""
    rows = [
        (f'`{result["source"]}`', result['protocol'], metric, f'{value:.2f}')
        for result in results
        for metric, value in result['metrics'].items()
    ]
    headers = ('features', 'protocol', 'metric', 'value')
    return tabulate(rows, headers, tablefmt='github', disable_numparse=True, colalign=('left', 'left', 'left', 'right'))


def training_data(facts: Mapping[str, Any]) -> str:
    """The packed sets of the training, by name."""
    data = facts['config'].get('dataset', {}).get('data', 'unknown')
    return '+'.join(Path(one).name for one in (data if isinstance(data, list) else [str(data)]))


def stream_of(facts: Mapping[str, Any]) -> str:
    """The stream, or several joined by ``+``."""
    stream = facts.get('stream') or 'joint'
    return stream if isinstance(stream, str) else '+'.join(stream)


def _front(facts: Mapping[str, Any]) -> str:
    licence = facts['published']['licence']
    lines = ['library_name: skeattn', 'tags: [skeleton-action-recognition, skeleton, action-recognition]']
    return '\n'.join(['---', *([f'license: {licence}'] if licence else []), *lines, '---'])


def _summary(facts: Mapping[str, Any], first: Result) -> str:
    how = 'trained with labels' if facts['method'] == SUPERVISED else 'pre-trained without labels'
    return (
        f'{facts["method"]} with the backbone {facts["backbone"]}, {how} on `{training_data(facts)}`, split '
        f'`{first["split"]}`. It reads clips of the layout `{facts["layout"]}`, channels '
        f'{", ".join(facts["channels"])}, stream {stream_of(facts)}, {facts["num_frames"]} frames.'
    )


def _use(file: Path, facts: Mapping[str, Any]) -> str:
    lines = [
        'from skeattn.apis import load_encoder',
        f"encoder = load_encoder('{facts['published']['name']}')     # or the path or the address of {file.name}",
        'features = encoder.embed(clips)',
    ]
    if 'probe' in facts:
        probe = facts['probe']
        lines.append(f'predictions = encoder.classify(clips)   # by the stored probe, on {probe["source"]}')
    return '\n'.join(['## Use', '', '```python', *lines, '```'])


def _evaluated(name: str, results: list[Result]) -> str:
    data, split, counts = (results[0][key] for key in ('data', 'split', 'clips'))
    text = (
        f'Of the split `{split}` of `{data}`, {counts.get("test", "?")} test clips, with {counts.get("train", "?")} '
        f'training clips. `skeattn verify {name} --data data/{data}` evaluates the numbers again.'
    )
    if all(map(can_be_repeated, results)):
        return text
    return f'{text} Those of protocols that train the network further are taken from the record.'


def _training(facts: Mapping[str, Any]) -> dict[str, Any]:
    config, published = facts['config'], facts['published']
    optimiser = (config.get('optim_wrapper') or {}).get('optimizer') or {}
    return {
        'config': published['config'] and f'`{published["config"]}`',
        'epochs': facts.get('epoch'),
        'batch size': facts.get('batch_size'),
        'optimiser': optimiser.get('type') and f'{optimiser["type"]}, lr {optimiser.get("lr")}',
        'seed': facts.get('seed'),
        'versions': ', '.join(f'{name} {version}' for name, version in facts.get('versions', {}).items()),
        'set (sha256 of its manifest)': facts.get('manifest_sha256') and f'`{facts["manifest_sha256"]}`',
    }


def _choices(facts: Mapping[str, Any]) -> list[str]:
    """The choices in which the paper and its released code differ."""
    chosen = facts.get('paper_vs_release')
    if not chosen:
        return []
    rows = [(f'`{name}`', f'`{value}`', origin) for name, (value, origin) in chosen.items()]
    table = tabulate(rows, ('choice', 'value', 'origin'), tablefmt='github', disable_numparse=True)
    return ['Choices in which the paper and its released code differ:', table]


def _file(file: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    published = facts['published']
    return {
        'file': f'`{file.name}`',
        'left out': ', '.join(f'`{name}`' for name in facts['omitted']) or None,
        'probe': 'probe' in facts and f'`{facts["probe"]["protocol"]}` on `{facts["probe"]["source"]}`',
        'licence of the weights': published['licence'] or 'not stated',
        'checkpoint (sha256)': f'`{published["checkpoint_sha256"]}`',
        'records': ', '.join(dict.fromkeys(f'`{result["record"]}`' for result in published['results'])),
        'written by': f'skeattn {published["skeattn"]}',
    }


def _table(rows: Mapping[str, Any]) -> str:
    known = [(name, str(value)) for name, value in rows.items() if value not in (None, '') and value is not False]
    return tabulate(known, ('', ''), tablefmt='github', disable_numparse=True)
