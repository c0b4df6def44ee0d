"""What every run over many people shares."""
