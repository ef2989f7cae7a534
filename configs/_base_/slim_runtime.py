"""The default runtime without queue, with SLiM's teacher."""

_base_ = './mamp_latent_runtime.py'
default_hooks = dict(
    momentum=dict(base_momentum=0.994, schedule='cosine'),
    temperature=dict(type='TeacherTemperatureHook', begin=0.04, end=0.07, rise=0.2),
)
