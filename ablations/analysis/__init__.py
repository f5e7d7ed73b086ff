"""Plan + recorded trials -> StudySummary. Pure."""
