"""Stand-ins for train.py and test.py: the same files, numbers that follow from the config.

Training takes ``$STUB_SECONDS``.
"""

from pathlib import Path

TRAIN = """
import os, sys, time
folder = sys.argv[sys.argv.index('--work-dir') + 1]
with open(folder + '/carried_out', 'a') as file:
    file.write('x')
time.sleep(float(os.environ.get('STUB_SECONDS', 0)))
"""

TEST = """
import hashlib, json, os, sys
from pathlib import Path
import numpy as np

config, checkpoint, *arguments = sys.argv[1:]
cfg = {}
exec(Path(config).read_text(), cfg)
print('evaluating', cfg['stream'])
if cfg['batch_size'] == 4 and cfg['stream'] == 'bone':
    sys.exit('bones are broken')
out = Path(arguments[arguments.index('--out') + 1])
facts = json.loads(arguments[arguments.index('--facts') + 1])
seed = int(arguments[arguments.index('--seed') + 1])
protocols = arguments[arguments.index('--protocol') + 1 : arguments.index('--seed')]
key = [cfg['model'], cfg['stream'], seed, sorted(facts['cfg_options'].items())]
rng = np.random.default_rng(int(hashlib.sha256(repr(key).encode()).hexdigest()[:8], 16))
about = {
    **facts, 'data': 'set', 'manifest_sha256': '0', 'split': 'xsub', 'stream': cfg['stream'], 'seed': seed,
    'checkpoint': None if checkpoint == 'untrained' else 'epoch_3.pth', 'checkpoint_sha256': '1',
}
metrics, results = {'knn/top1_k20': float(rng.integers(100))}, {}
for protocol in protocols:
    metrics[protocol + '/top1'] = float(rng.integers(100))
    arrays = {'classes': np.array(['a', 'b', 'c']), 'facts': np.array(json.dumps({**about, 'protocol': protocol}))}
    for part in ('test', 'heldout'):
        arrays[part + '_scores'] = rng.normal(size=(12, 3)).astype(np.float32)
        arrays[part + '_labels'] = np.arange(12) % 3
        arrays[part + '_names'] = np.array([part + str(i) for i in range(12)])
    scores = out.with_name(out.stem + '.' + protocol + '.npz')
    np.savez(scores, **arrays)
    digest = hashlib.sha256(scores.read_bytes()).hexdigest()
    results[protocol] = {'scores': scores.name, 'scores_sha256': digest}
source = {'streams': [cfg['stream']], 'metrics': metrics, 'protocols': results, 'parameters': 1, 'gmacs': 1.0}
named = [argument.partition('=')[2] for argument in arguments if argument.startswith('--source=')] or ['backbone']
sources = {name: {**source, 'readout': name.partition('@')[2] or 'mean'} for name in named}
settings = {name: {} for name in protocols}
record = {'version': 1, **about, 'training': None, 'protocols': settings, 'sources': sources}
Path(str(out) + '.tmp').write_text(json.dumps({**record, 'finished': '2026-01-01'}))
os.rename(str(out) + '.tmp', out)
"""


def write_stubs(folder: Path) -> Path:
    """A folder of tools."""
    folder.mkdir()
    (folder / 'train.py').write_text(TRAIN)
    (folder / 'test.py').write_text(TEST)
    return folder
