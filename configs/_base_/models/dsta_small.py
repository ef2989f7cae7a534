"""At the widths of HiCLR's transformer."""

_base_ = './dsta.py'
dsta = dict(
    model=dict(
        backbone=dict(
            widths=(32, 32, 64, 64, 128, 128, 128, 256),
            inner_widths=(16, 16, 16, 16, 32, 32, 32, 32),
        ),
    ),
)
