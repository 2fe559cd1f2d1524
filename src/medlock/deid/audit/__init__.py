"""Re-identification audit of a release: attacks on it, risk measures, thresholds, and a signed report."""
