"""Well-conditioned linear evaluation: ridge regression with a penalty chosen on held-out training subjects."""

type = 'RidgeProbe'
penalties = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)
folds = 5
