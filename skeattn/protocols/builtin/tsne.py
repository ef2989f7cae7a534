"""A map of the test clips' features."""

type = 'EmbeddingMap'
method = 'tsne'
perplexity = 30.0
limit = 2000
neighbours = 10
