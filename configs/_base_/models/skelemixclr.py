"""SkeleMixCLR: the pasted and the host region of a mixed clip, each against the key of the clip it comes from.

The stream is mixed, as in the release. Of the 16 units of 64 frames 7 to 11 are pasted.
"""

_base_ = './stgcn_moco.py'
model = dict(
    type='SkeleMixCLR',
    data_preprocessor=dict(
        views=dict(
            mix=dict(source='query', skelemix=dict(type='SkeleMix', parts=(2, 3), units=(0.44, 0.69), on='stream')),
        ),
    ),
)
