"""Records of a run of a config, as its evaluation writes them."""

from pathlib import Path

from skeattn.experiments.paper import TABLES
from skeattn.experiments.paper_tables import FilledTable, fill
from skeattn.results.record import Record

OURS, THEIRS = 'configs/skeattnclr/stgcn_nwucla_xview.py', 'configs/skeletonclr/stgcn_nwucla_xview.py'
SMALL = {'dataset.pipeline.resample.num_frames': '32'}


def record(config: str, seed: int, top1: float, streams=('joint',), options=SMALL, **changes) -> dict:
    """A record as parsed JSON."""
    part = {'streams': list(streams), 'metrics': {'linear/top1': top1, 'knn/top1_k20': top1 - 10}}
    about = {'version': 1, 'name': 'any', 'data': 'set', 'split': 'xview', 'stream': 'joint', 'seed': seed}
    facts = {'config': config, 'cfg_options': dict(options), 'checkpoint': 'epoch_30.pth', 'finished': '2026-01-01'}
    return {**about, **facts, 'sources': {'backbone': part}, **changes}


def filled(*records: dict, table: str = '1', **options) -> FilledTable:
    """A table of the paper filled from records."""
    return fill(TABLES[table], {Path(f'{i}.json'): Record.from_dict(item) for i, item in enumerate(records)}, **options)
