"""Protocols: how a network is evaluated, by the settings of a file, through the Runner where it is trained further."""

from skeattn.protocols.finetune import Finetune
from skeattn.protocols.target import EvalTarget, TrainingProtocol

__all__ = ['EvalTarget', 'Finetune', 'TrainingProtocol']
