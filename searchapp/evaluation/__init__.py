"""Measured quality: judged queries asked of the real search, and what the prefilter loses."""

from searchapp.evaluation.asking import Question, Run, Setting, questions_ask, setting_read
from searchapp.evaluation.comparison import (
    Comparison,
    compare,
    comparison_described,
    comparison_lines,
)
from searchapp.evaluation.folder import evaluate, evaluate_against
from searchapp.evaluation.recall import recall_latest, recall_measure
from searchapp.evaluation.saved import saved_export, saved_import, saved_questions

__all__ = [
    "Comparison",
    "Question",
    "Run",
    "Setting",
    "compare",
    "comparison_described",
    "comparison_lines",
    "evaluate",
    "evaluate_against",
    "questions_ask",
    "recall_latest",
    "recall_measure",
    "saved_export",
    "saved_import",
    "saved_questions",
    "setting_read",
]
