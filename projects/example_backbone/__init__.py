"""A backbone of one's own; its README has the commands."""
