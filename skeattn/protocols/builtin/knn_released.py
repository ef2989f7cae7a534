"""The released KNN monitor: features of the predictor, K = 10, 20 and 40."""

_base_ = './knn.py'
k = (10, 20, 40)
source = 'predictor'
