"""A trained network for programs without this toolbox: one graph, with the facts that its user needs."""

from skeattn.deployment.export import FORMATS, Exported, export_network, facts_of
from skeattn.deployment.heads import FewShotHead, ProbeHead
from skeattn.deployment.network import DeployedNetwork

__all__ = ['FORMATS', 'DeployedNetwork', 'Exported', 'FewShotHead', 'ProbeHead', 'export_network', 'facts_of']
