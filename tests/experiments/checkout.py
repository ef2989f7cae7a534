"""A checkout in small, for what is named by a data set: configs of two methods over one packed set."""

from pathlib import Path

from tests.engine.toy import write_config, write_set


def write_checkout(root: Path) -> Path:
    """Configs for the data set ``toy``; one of the methods has settings of its own and common ones."""
    write_set(root / 'set')
    for method, lines in (('skeletonclr', ''), ('skeattnclr', 'train_cfg = dict(max_epochs=9)\n')):
        folder = root / 'configs' / method
        folder.mkdir(parents=True)
        config = write_config(folder, method, lines, data=root / 'set')
        config.rename(folder / 'stgcn_toy.py')
    common = "_base_ = './stgcn_toy.py'\ntrain_cfg = dict(max_epochs=3)\n"
    (root / 'configs/skeattnclr/stgcn_toy_common.py').write_text(common)
    return root
