"""Pictures of findings: this package alone draws, and it only draws."""
