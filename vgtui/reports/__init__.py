"""Pictures and pages of what was measured, for people who were not there: matplotlib's figures, one HTML file."""
