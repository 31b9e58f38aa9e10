"""What all pages share: they are files that need no network."""
