"""Pages and 3D recordings that show what a run came to."""
