"""HiCLR: two views of growing strength, each follows the weaker one.

The strongest has the paper's three strong augmentations: joints masked, style exchanged (SkeleAdaIN), edges dropped and
added. The paper's rates for the last two are unknown. Those of the edges are the release's for its transformer; the
probability of 0.5 for the style is our choice.
"""

_base_ = ['./stgcn_moco.py', './extreme.py']
model = dict(
    type='HiCLR',
    data_preprocessor=dict(
        views=dict(
            strong=_base_.pop('extreme'),
            stronger=dict(
                like='strong',
                adain=dict(type='SkeleAdaIN', probability=0.5),
                joint_mask=dict(type='RandomJointMask', ratio=0.1, on='stream'),
            ),
        ),
    ),
    edges=dict(type='DropAddEdges', drop=0.1, add=0.05),
    top_k=1,
)
