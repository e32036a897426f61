"""The ways to train a head. Each module has `fit(data, spec, tell) -> Fitted` and `check(options, ...)`."""
