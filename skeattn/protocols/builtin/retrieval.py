"""Every test clip looks for training clips of its class, by cosine similarity."""

type = 'Retrieval'
recall = (1, 5, 10)
