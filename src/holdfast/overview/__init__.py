"""Pages that compose several rooms: the fleet, an endpoint, an incident.

They read through the rooms' services and put the answer into words and charts. Not here: any rule, any table, any
change of state.
"""
