"""Encoders published as folders of weights, facts and records, which anyone can load and evaluate again."""
