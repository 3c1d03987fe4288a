"""The stages of a search, each one module: what it takes and gives are the types of `types`."""
