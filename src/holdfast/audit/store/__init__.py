"""The tables of the audit log: leaves and tree (`leaves`), checkpoints and key rotations (`signatures`)."""
