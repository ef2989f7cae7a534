"""Training and evaluation runs: mmengine's Runner, with safe checkpoints and exact resuming."""

from skeattn.engine import hooks
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.config import resolve_config
from skeattn.engine.loops import EpochLoop, FeatureLoop
from skeattn.engine.runner import SkeAttnRunner

__all__ = ['AutocastOptimWrapper', 'EpochLoop', 'FeatureLoop', 'SkeAttnRunner', 'hooks', 'resolve_config']
