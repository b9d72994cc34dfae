"""One spec for each problem."""
