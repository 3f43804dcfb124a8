"""SKU classifiers from shelf photos."""
