"""Files into pages: sniff the bytes, render in a sandboxed child. Plain Python, no Django.

Callers need three names: `sniffing.sniff`, `sandbox.render` and `sandbox.protections`.
"""
