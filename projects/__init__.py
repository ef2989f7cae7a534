"""Parts that live outside the package: configs import them by name, ``projects.example_backbone.joint_tcn``."""
