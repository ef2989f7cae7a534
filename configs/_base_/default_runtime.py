default_scope = 'skeattn'

# skeattn/engine/config.py copies the settings at the top to every place that needs them.
seed = 0
# stream = 'joint' unless a config or --cfg-options sets 'motion' or 'bone'

# Switches of speed (skeattn/engine/speed.py), printed when a training starts. amp: bfloat16 on a GPU that has it, on
# such a CPU as optim_wrapper says, nowhere emulated.
amp = 'auto'
env_cfg = dict(cudnn_benchmark=True, dist_cfg=dict(backend='nccl', timeout=1800))
log_processor = dict(window_size=10, by_epoch=True)
log_level = 'INFO'
visualizer = dict(
    type='Visualizer',
    vis_backends=dict(local=dict(type='LocalVisBackend'), tensorboard=dict(type='TensorboardVisBackend')),
)

default_hooks = dict(
    randomness=dict(type='RandomnessHook'),
    non_finite=dict(type='NonFiniteHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    momentum=dict(type='MomentumUpdateHook', base_momentum=0.996, schedule='cosine', timing='after_step', buffers=True),
    queue=dict(type='QueueUpdateHook'),
    bn_statistics=dict(type='AverageBNStatsHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep=2, save_best='knn/top1_k20'),
)

evaluation = dict(
    interval=10,
    source='backbone',
    evaluators=dict(knn=dict(type='KNNEvaluator'), linear=dict(type='LinearProbe')),
)

work_dir = None
load_from = None
resume = False
launcher = 'none'
