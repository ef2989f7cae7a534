_base_ = './released_runtime.py'
evaluation = dict(interval=5, evaluators=dict(knn=dict(k=(10, 20, 40)), linear=dict(epochs=150)))
