"""One module per source format, each with ``convert(source, out, ...)``."""

from skeattn.datasets.converters import ntu, nwucla, pkummd, pyskl, utdmhad

__all__ = ['ntu', 'nwucla', 'pkummd', 'pyskl', 'utdmhad']
