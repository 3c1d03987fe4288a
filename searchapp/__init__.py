"""The product: documents in, pages found. Imports nothing: plain-Python parts stay light."""
