"""SkeleMixCLR: the pasted and the host region of a mixed clip, each contrasted with the key of its clip.

The mixing follows the derivation of the stream, as in the release. 7 to 11 of the 16 units of 64 frames are pasted.
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
