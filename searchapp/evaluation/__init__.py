"""Measured quality: judged queries asked of the real search."""

from searchapp.evaluation.folder import evaluate

__all__ = ["evaluate"]
