"""The exam: questions about tables, the answers that programs compute for them, and the grading of an analyst's answers."""
