"""Who may do what, and where: people, service accounts, tokens, sessions, roles by workspace, and the permission
that every route declares.

A fresh data folder on loopback is in open mode: work needs no login, administration needs the secret in
`admin.token`. The first user ends it. Higher rooms look people up with `People.find` and `People.list`. Not here:
what the permissions protect.
"""
