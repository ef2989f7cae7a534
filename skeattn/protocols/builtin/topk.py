"""Accuracy of the classifier trained with the encoder, from its logits."""

type = 'TopK'
source = 'logits'
