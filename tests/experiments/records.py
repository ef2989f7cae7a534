"""Small records of the runs that fill the tables."""

OURS, THEIRS = 'configs/skeattnclr/stgcn_nwucla_xview.py', 'configs/skeletonclr/stgcn_nwucla_xview.py'
SMALL = {'dataset.pipeline.resample.num_frames': '32'}


def record(config: str, seed: int, top1: float, streams=('joint',), options=SMALL, **changes) -> dict:
    part = {'streams': list(streams), 'metrics': {'linear/top1': top1, 'knn/top1_k20': top1 - 10}}
    facts = {'name': 'any', 'config': config, 'cfg_options': dict(options), 'seed': seed, 'checkpoint': 'epoch_30.pth'}
    return {**facts, 'sources': {'backbone': part}, 'finished': '2026-01-01', **changes}
