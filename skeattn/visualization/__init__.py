"""Pictures: curves, embedding maps, clips after every step, skeletons coloured by the attention mask.

Needs the extra ``[vis]``.
"""

from skeattn.errors import ConfigError

try:
    import matplotlib  # noqa: F401
    import PIL  # noqa: F401
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ConfigError(
        f'pictures need matplotlib, pillow and scikit-learn ({error.name} is missing); pip install "skeattn[vis]"'
    ) from None

from skeattn.visualization.clip_player import play_clip
from skeattn.visualization.clip_steps import Panel, in_stream, pipeline_steps, view_steps
from skeattn.visualization.curves import draw_curves, draw_losses
from skeattn.visualization.embedding import draw_embedding
from skeattn.visualization.mask_player import MaskedClip, masked_clips, play_masks

__all__ = [
    'MaskedClip',
    'Panel',
    'draw_curves',
    'draw_embedding',
    'draw_losses',
    'in_stream',
    'masked_clips',
    'pipeline_steps',
    'play_clip',
    'play_masks',
    'view_steps',
]
