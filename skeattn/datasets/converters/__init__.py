"""One module per source format, each with ``convert(source, out, ...)``."""

from skeattn.datasets.converters import ntu, nwucla, utdmhad

__all__ = ['ntu', 'nwucla', 'utdmhad']
