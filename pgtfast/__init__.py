"""pgtfast."""
