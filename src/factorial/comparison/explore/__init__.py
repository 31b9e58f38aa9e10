"""What one plays with on a report's page: charts that answer, and pairs of settings."""
