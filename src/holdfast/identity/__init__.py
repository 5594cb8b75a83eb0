"""Who may do what: principals, roles and the permission that every route declares.

A fresh data folder on loopback is in open mode: work needs no login, administration needs the secret in
`admin.token`. Not here: what the permissions protect.
"""
