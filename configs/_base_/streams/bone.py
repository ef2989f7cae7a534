"""The bone stream: the position of a joint relative to its parent."""

stream = 'bone'
