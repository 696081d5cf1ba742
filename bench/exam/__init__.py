"""Hold questions over tables, the answers that programs compute for them, and the grading of what an analyst says."""
