"""The page of a run: one HTML file that opens in any browser, offline, from the files that the run's nodes left."""
