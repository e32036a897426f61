"""Schema changes, one numbered file each, run when a registry is opened."""
