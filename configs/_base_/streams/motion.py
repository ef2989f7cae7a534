"""The motion stream: the displacement of a joint until the next frame."""

stream = 'motion'
