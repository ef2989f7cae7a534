"""The classifier that was trained with the encoder, by its own logits."""

type = 'TopK'
source = 'logits'
