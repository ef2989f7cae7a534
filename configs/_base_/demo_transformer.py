"""The embedded set for methods with a Transformer: half the width of other small sets. Merged as `demo.py` is."""

demo = dict(
    model=dict(backbone=dict(out_channels=64), persons='present'),
    evaluation=dict(interval=4),
)
