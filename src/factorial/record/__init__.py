"""The only reader and writer of MLflow, and of what lies in the outputs."""
