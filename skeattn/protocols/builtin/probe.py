"""Well-conditioned linear evaluation: logistic regression with a penalty chosen on held-out training subjects."""

type = 'LogisticProbe'
folds = 5
tolerance = 1e-6
max_iterations = 1000
