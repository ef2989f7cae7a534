"""The default runtime without key encoder and queue; the classifier itself is evaluated."""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=None, queue=None, checkpoint=dict(save_best='topk/top1'))
evaluation = dict(source='logits', evaluators=dict(knn=None, linear=None, topk=dict(type='TopK')))
