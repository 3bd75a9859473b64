"""Signed bundles on their way to a terminal: a side process fetches and verifies, and puts what is sound where the
active set looks. The process that serves cards never imports the library of The Update Framework.
"""
