"""The runtime of small sets without queue, with SLiM's teacher, which follows within a few epochs and is sharper."""

_base_ = './mamp_latent_small_runtime.py'
default_hooks = dict(
    momentum=dict(base_momentum=0.97, schedule='cosine'),
    temperature=dict(type='TeacherTemperatureHook', begin=0.03, end=0.05, rise=0.2),
)
