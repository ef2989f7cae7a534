"""Speed: a reference in the style of released code, and measurements of the toolbox beside it."""
