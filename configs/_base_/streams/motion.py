"""The motion stream: what a joint moves until the next frame."""

stream = 'motion'
