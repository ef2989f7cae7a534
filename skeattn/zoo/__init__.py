"""Published encoders: written, described, listed, and evaluated again."""

from skeattn.zoo.again import Again, check_published
from skeattn.zoo.publish import publish

__all__ = ['Again', 'check_published', 'publish']
