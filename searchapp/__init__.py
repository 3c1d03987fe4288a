"""The product: documents in, pages found. Imports nothing, so that plain-Python parts stay light."""
