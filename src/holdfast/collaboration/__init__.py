"""People talking about what holdfast keeps: comments on any object, who watches what, activity, the inbox, and the
channels by which news leaves (mail, Slack, Teams, PagerDuty, JSON, signed webhooks).

News comes from the audit log alone: every governed change is an entry there, written in the change's own
transaction, and the worker follows the log. So no room has to tell this one anything, and no news is lost.
Not here: what the objects are (`ObjectResolver`, bound by the composition root, answers that), and raising alerts.
"""
