"""One module per source format, each with ``convert(source, out, ...)``."""

from skeattn.datasets.converters import ctrgcn, ntu, nwucla, pkummd, plain, pyskl, stgcn_arrays, utdmhad

__all__ = ['ctrgcn', 'ntu', 'nwucla', 'pkummd', 'plain', 'pyskl', 'stgcn_arrays', 'utdmhad']
