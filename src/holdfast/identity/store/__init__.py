"""The tables of identity: people, roles, tokens, sessions, workspaces."""
