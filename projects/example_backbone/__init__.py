"""A custom backbone; its README has the commands."""
