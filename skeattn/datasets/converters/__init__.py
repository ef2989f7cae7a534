"""One module per source format, each with ``convert(source, out, ...)``."""

from skeattn.datasets.converters import ntu, nwucla, pkummd, utdmhad

__all__ = ['ntu', 'nwucla', 'pkummd', 'utdmhad']
