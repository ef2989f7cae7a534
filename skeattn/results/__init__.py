"""Results: records of evaluations, class scores on disk, ensembles and tables made of them."""
