"""Paired runs -> intervals, p-values, verdicts and their sentences. Pure: numbers in, numbers and words out."""
