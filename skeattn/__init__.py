"""skeattn: self-supervised skeleton action recognition around SkeAttnCLR (IJCAI 2023)."""

try:
    import mmcv  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != 'mmcv':
        raise
    raise ModuleNotFoundError(
        'skeattn needs mmcv-lite or mmcv, and neither is installed. '
        'Install one of them, not both: pip install mmcv-lite (enough for skeattn), or a full mmcv.'
    ) from None

__version__ = '0.1.0'
