"""Pictures: curves, embedding maps, skeletons coloured by the attention mask. Needs the extra ``[vis]``."""

from skeattn.errors import ConfigError

try:
    import matplotlib  # noqa: F401
    import PIL  # noqa: F401
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ConfigError(
        f'pictures need matplotlib, pillow and scikit-learn ({error.name} is missing): pip install "skeattn[vis]"'
    ) from None

from skeattn.visualization.curves import draw_curves
from skeattn.visualization.embedding import draw_embedding
from skeattn.visualization.mask_player import MaskedClip, masked_clips, play_masks

__all__ = ['MaskedClip', 'draw_curves', 'draw_embedding', 'masked_clips', 'play_masks']
