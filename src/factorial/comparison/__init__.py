"""From recorded runs to what they say: table, intervals, findings, words, figures, the report."""
