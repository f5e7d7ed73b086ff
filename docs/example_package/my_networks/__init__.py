"""A network and a data set that studies can name; pyproject.toml registers them."""
