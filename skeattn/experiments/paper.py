"""The tables of the SkeAttnCLR paper (Hua et al., IJCAI 2023): their figures, and the runs of each cell.

``None`` marks cells that are empty in the paper. Doubtful figures are no targets: the NTU-120 X-Set column is probably
a split of the cameras, "SkeletonCLR 3S" of Table 3 is CrosSCLR of three streams in that method's own repository, and
"ST-GCN" of Table 6 is probably three streams. The sweeps of μ, λ and heads are in an appendix that is not published
with the paper; the comparison of negatives is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STREAMS = {'J': ('joint',), 'M': ('motion',), 'B': ('bone',), '3S': ('joint', 'bone', 'motion')}
BACKBONES = {'stgcn': 'ST-GCN', 'bigru': 'BIGRU', 'dsta': 'Transformer (DSTA)'}
FURTHER_BACKBONES = {'transformer': 'Transformer', 'rotary': 'rotary Transformer'}
"""Backbones that no table of the paper has, of methods without a config with ST-GCN."""
DATASETS = {
    'ntu60_xsub': 'NTU-60 X-Sub',
    'ntu60_xview': 'NTU-60 X-View',
    'ntu120_xsub': 'NTU-120 X-Sub',
    'ntu120_xset': 'NTU-120 X-Set',
    'pkummd1_xsub': 'PKU-MMD I',
    'pkummd2_xsub': 'PKU-MMD II',
    'nwucla_xview': 'NW-UCLA X-View',
    'utdmhad_xsub': 'UTD-MHAD X-Sub',
}


@dataclass(frozen=True)
class Column:
    """A data set with its split, and a backbone.

    Args:
        dataset: name of the data set in the names of configs.
        backbone: name of the backbone in the names of configs.
        title: heading.
        doubtful: whether the paper's figures are doubtful.
    """

    dataset: str
    backbone: str
    title: str
    doubtful: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table, with the runs of its cells.

    Args:
        labels: the text of its first columns.
        figures: of the paper, in percent, one for each column of the table.
        method: folder of configs; None for figures from other publications.
        streams: of the features; several are fused.
        options: required values of the config, by dotted key.
        protocol: of its evaluation; by default the table's.
        trained: False for a network from scratch.
        variants: suffixes of the config's name; the first existing config is taken.
        doubtful: whether its figures are doubtful.
        name: of its runs; by default that of the method.
        source: of its features; by default those of the method.
        readout: of its features; by default that of the table.
    """

    labels: tuple[str, ...]
    figures: tuple[float | None, ...] = ()
    method: str | None = None
    streams: tuple[str, ...] = STREAMS['J']
    options: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = ''
    trained: bool = True
    variants: tuple[str, ...] = ('',)
    doubtful: bool = False
    name: str = ''
    source: str = ''
    readout: str = ''


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Args:
        title: of the table.
        headings: of the columns of labels.
        columns: with figures of the paper.
        lines: its rows.
        protocol: of the evaluation of its lines.
        metric: of the protocol, shown in the cells.
    """

    title: str
    headings: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    protocol: str = 'linear'
    metric: str = 'top1'


def _columns(*datasets: str) -> tuple[Column, ...]:
    return tuple(Column(name, 'stgcn', DATASETS[name], name == 'ntu120_xset') for name in datasets)


def _line(labels: str, figures: str = '', method: str | None = 'skeattnclr', stream: str = 'J', **more: Any) -> Line:
    """A line from ``labels`` separated by ``|`` and ``figures`` separated by blanks; '–' is an empty cell."""
    values = tuple(None if figure == '–' else float(figure) for figure in figures.split())
    return Line(tuple(labels.split('|')), values, method, STREAMS[stream], **more)


def _by_stream(label: str, method: str | None, figures: Mapping[str, str], **more: Any) -> dict[str, Line]:
    return {stream: _line(f'{label}|{stream}', text, method, stream, **more) for stream, text in figures.items()}


def _sweep(symbol: str, key: str, values: Sequence[float]) -> tuple[Line, ...]:
    return tuple(_line(f'{symbol} = {value:g}', options={key: value}) for value in values)


def _interleave(*methods: Mapping[str, Line]) -> tuple[Line, ...]:
    return tuple(lines[stream] for stream in STREAMS for lines in methods if stream in lines)


# Baseline* is SkeletonCLR with the settings of SkeAttnCLR; on small sets all methods have the same settings.
_OUR_SETTINGS = ('_paper', '')
_GRANULARITY = 'model.mhsam.granularity'
_MASKS: dict[str, dict[str, Any]] = {
    'trained': {},
    'learning rate × 0.03': {'optim_wrapper.paramwise_cfg.custom_keys.mhsam.lr_mult': 0.03},
    'frozen': {'model.mask_gradient': False},
}
_NTU60, _NTU = ('ntu60_xsub', 'ntu60_xview'), ('ntu60_xsub', 'ntu60_xview', 'ntu120_xsub', 'ntu120_xset')

TABLES = {
    '1': PaperTable(
        'Table 1: linear evaluation against the baseline, ST-GCN',
        ('method', 'stream'),
        _columns(*_NTU, 'pkummd1_xsub', 'pkummd2_xsub'),
        _interleave(
            _by_stream(
                'Baseline',
                None,
                {
                    'J': '68.3 76.4 – – – –',
                    'M': '53.3 50.8 – – – –',
                    'B': '69.4 67.4 – – – –',
                    '3S': '75.0 79.8 – – – –',
                },
            ),
            _by_stream(
                'Baseline*',
                'skeletonclr',
                {
                    'J': '72.0 79.0 51.0 61.7 80.3 39.1',
                    'M': '56.5 57.2 46.1 43.8 66.5 14.0',
                    'B': '66.0 69.0 51.1 56.3 79.7 21.5',
                    '3S': '75.9 79.8 65.0 65.9 85.3 38.8',
                },
                variants=_OUR_SETTINGS,
            ),
            _by_stream(
                'Ours',
                'skeattnclr',
                {
                    'J': '80.3 86.1 66.3 74.5 87.3 52.9',
                    'M': '63.9 58.7 49.9 59.3 72.2 32.7',
                    'B': '76.2 76.0 63.0 67.3 87.3 37.7',
                    '3S': '82.0 86.5 77.1 80.0 89.5 55.5',
                },
            ),
        ),
    ),
    '2': PaperTable(
        'Table 2: linear evaluation with other backbones, NTU-60 X-Sub',
        ('method', 'stream'),
        tuple(Column('ntu60_xsub', backbone, title) for backbone, title in BACKBONES.items()),
        _interleave(
            _by_stream('Baseline', None, {'J': '68.3 – –', 'M': '53.3 – –', 'B': '69.4 – –'}),
            _by_stream(
                'Baseline*',
                'skeletonclr',
                {'J': '72.0 64.8 54.5', 'M': '56.5 58.4 45.0', 'B': '66.0 63.0 51.0'},
                variants=_OUR_SETTINGS,
            ),
            _by_stream('Ours', 'skeattnclr', {'J': '80.3 72.7 71.3', 'M': '63.9 74.9 52.3', 'B': '76.2 69.2 73.7'}),
        ),
    ),
    '3': PaperTable(
        'Table 3: linear evaluation against other methods, ST-GCN',
        ('method', 'stream'),
        _columns(*_NTU),
        (
            _line('SkeletonCLR|J', '68.3 76.4 56.8 55.9', 'skeletonclr'),
            _line('CrosSCLR|J', '72.9 79.9 – –', 'crossclr'),
            _line('AimCLR|J', '74.3 79.7 63.4 63.4', 'aimclr'),
            _line('HiCLR|J', '77.6 82.4 – –', 'hiclr'),
            _line('SkeleMixCLR|J', '79.6 84.4 67.4 69.6', 'skelemixclr'),
            _line('Ours|J', '80.3 86.1 66.3 74.5'),
            _line('SkeletonCLR|3S', '77.8 83.4 67.9 66.7', 'skeletonclr', '3S', doubtful=True),
            _line('AimCLR|3S', '78.9 83.8 68.2 68.8', 'aimclr', '3S'),
            _line('HiCLR|3S', '80.4 85.5 70 70.4', 'hiclr', '3S'),
            _line('SkeleMixCLR|3S', '81 85.6 69.1 69.9', 'skelemixclr', '3S'),
            _line('Ours|3S', '82.0 86.5 77.1 80.0', stream='3S'),
        ),
    ),
    '4': PaperTable(
        'Table 4: KNN evaluation, joint stream',
        ('method',),
        _columns(*_NTU),
        (
            _line('SkeletonCLR', '60.7 64.8 42.9 41.9', 'skeletonclr'),
            _line('AimCLR', '63.7 71.0 47.3 48.9', 'aimclr'),
            _line('HiCLR', '67.3 75.3 – –', 'hiclr'),
            _line('SkeleMixCLR', '65.5 72.3 48.3 49.3', 'skelemixclr'),
            _line('Ours', '69.4 76.8 46.7 58.0'),
        ),
        'knn',
        'top1_k20',  # the paper does not state K
    ),
    '5': PaperTable(
        'Table 5: semi-supervised, NTU-60, three streams',
        ('labels', 'method'),
        _columns(*_NTU60),
        (
            _line('1 %|CrosSCLR', '51.1 50', 'crossclr', '3S', protocol='semi01'),
            _line('1 %|AimCLR', '54.8 54.3', 'aimclr', '3S', protocol='semi01'),
            _line('1 %|SkeleMixCLR', '55.3 55.7', 'skelemixclr', '3S', protocol='semi01'),
            _line('1 %|Ours', '59.6 59.2', stream='3S', protocol='semi01'),
            _line('10 %|CrosSCLR', '74.4 77.8', 'crossclr', '3S', protocol='semi10'),
            _line('10 %|AimCLR', '78.2 81.6', 'aimclr', '3S', protocol='semi10'),
            _line('10 %|SkeleMixCLR', '79.9 83.6', 'skelemixclr', '3S', protocol='semi10'),
            _line('10 %|Ours', '81.5 83.8', stream='3S', protocol='semi10'),
        ),
    ),
    '6': PaperTable(
        'Table 6: fine-tuning',
        ('method', 'stream'),
        _columns(*_NTU),
        (
            _line('SkeletonCLR|J', '82.2 88.9 73.6 75.3', 'skeletonclr'),
            _line('AimCLR|J', '83.0 89.2 77.2 76.0', 'aimclr'),
            _line('SkeleMixCLR|J', '84.5 91.1 75.1 76.0', 'skelemixclr'),
            _line('Ours|J', '87.3 92.8 77.3 87.8'),
            _line('ST-GCN, from scratch|3S', '85.2 91.4 77.2 77.1', stream='3S', trained=False, doubtful=True),
            _line('SkeletonCLR|3S', '86.2 92.5 80.5 80.4', 'skeletonclr', '3S'),
            _line('AimCLR|3S', '86.9 92.8 80.1 80.9', 'aimclr', '3S'),
            _line('HiCLR|3S', '88.3 93.2 82.1 83.7', 'hiclr', '3S'),
            _line('SkeleMixCLR|3S', '87.8 93.9 81.6 81.2', 'skelemixclr', '3S'),
            _line('Ours|3S', '89.4 94.5 83.4 92.7', stream='3S'),
        ),
        'finetune',
    ),
    '7': PaperTable(
        'Table 7: the local losses, joint stream, linear evaluation',
        ('negative pair q_s / q_ns', 'L_s', 'L_ns'),
        _columns(*_NTU60),
        (
            _line('no|yes|yes', '80.9 84.1', options={'model.opposite_negative': False}),
            _line('no|yes|no', '75.5 79.2', options={'model.opposite_negative': False, 'model.mu': 1.0}),
            _line('yes|yes|no', '76.3 80.4', options={'model.mu': 1.0}),
            _line('yes|yes|yes', '80.3 86.1'),
        ),
    ),
    'negatives': PaperTable(
        'Negatives of the local losses, joint stream',
        ('negatives', 'mask'),
        _columns(*_NTU60),
        (
            *(
                _line(f'{name}|{mask}', options={'model.negatives': negatives, **options})
                for negatives, name in (('queue', 'queue (paper)'), ('matched', 'matched'))
                for mask, options in _MASKS.items()
            ),
            *(
                _line(f'matched|one value per {unit}', options={'model.negatives': 'matched', _GRANULARITY: unit})
                for unit in ('position', 'joint', 'frame')
            ),
        ),
        'probe',
    ),
    'mu': PaperTable(
        'Weight μ of the salient loss, joint stream, linear evaluation',
        ('weight',),
        _columns(*_NTU60),
        _sweep('μ', 'model.mu', (0.0, 0.25, 0.5, 0.75, 1.0)),
    ),
    'lambda': PaperTable(
        'Sharpness λ of the mask, joint stream, linear evaluation',
        ('sharpness',),
        _columns(*_NTU60),
        _sweep('λ', 'model.mhsam.lam', (0.5, 1.0, 2.0, 4.0)),
    ),
    'heads': PaperTable(
        'Heads of the attention, joint stream, linear evaluation',
        ('heads',),
        _columns(*_NTU60),
        _sweep('h', 'model.mhsam.num_heads', (1, 2, 4, 8, 16)),
    ),
}
