"""As stgcn_demo.py, with a tenth of the joints lost as an estimator loses them, and filled again.

How much the loss costs without the cure: `--cfg-options dataset.pipeline.fill=None`.
"""

_base_ = './stgcn_demo.py'
dataset = dict(
    pipeline=dict(
        lose=dict(type='LoseJoints', share=0.1, before='fill'),
        fill=dict(_delete_=True, type='FillGaps'),
    ),
)
