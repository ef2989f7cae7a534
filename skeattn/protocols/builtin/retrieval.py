"""Retrieval of training clips of a test clip's class by cosine similarity."""

type = 'Retrieval'
recall = (1, 5, 10)
