"""Configs of the toolbox as bases: ``_base_ = 'skeattn::METHOD/NAME.py'``, in any folder, of a checkout or a wheel.

The form is mmengine's for configs of installed packages, which knows a fixed list of packages.
"""

from mmengine.config import Config

from skeattn.errors import ConfigError, did_you_mean
from skeattn.toolbox import CONFIGS, short_name

PREFIX = 'skeattn::'
_of_mmengine = Config._get_cfg_path


def base_path(base: str, file: str) -> tuple[str, str | None]:
    """The path of a base and the scope of its types.

    Args:
        base: as ``_base_`` of a config lists it.
        file: the config.

    Raises:
        ConfigError: the toolbox has no such config.
    """
    if not base.startswith(PREFIX):
        return _of_mmengine(base, file)
    name = short_name(base.removeprefix(PREFIX))
    path = CONFIGS / f'{name}.py'
    if not path.is_file():
        known = [short_name(path.relative_to(CONFIGS)) for path in CONFIGS.glob('**/*.py')]
        raise ConfigError(f'_base_={base!r}: the toolbox has no such config; {did_you_mean(name, known)}')
    return str(path), None


Config._get_cfg_path = staticmethod(base_path)
