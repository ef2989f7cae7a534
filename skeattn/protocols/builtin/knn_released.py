"""The released monitor: what the predictor makes of a clip, K = 10, 20 and 40."""

_base_ = './knn.py'
k = (10, 20, 40)
source = 'predictor'
