"""The same work in the style of the released code: what the toolbox's speed and numbers are compared with."""
