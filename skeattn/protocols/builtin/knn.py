"""Weighted nearest neighbours on the encoder's pooled features of clean clips; several K, as the papers name none."""

type = 'KNNEvaluator'
k = (1, 5, 10, 20, 40)
temperature = 0.1
