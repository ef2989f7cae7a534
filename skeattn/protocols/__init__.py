"""Protocols: evaluation of a network by the settings of a file, with the Runner if the network is trained further."""

from skeattn.protocols.finetune import Finetune
from skeattn.protocols.target import EvalTarget, TrainingProtocol

__all__ = ['EvalTarget', 'Finetune', 'TrainingProtocol']
