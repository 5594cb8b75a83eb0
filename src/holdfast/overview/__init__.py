"""Pages that compose several rooms: the fleet, an endpoint, an incident; and the search over all of them.

They read through the rooms' services and put the answer into words and charts. Not here: any rule, any table, any
change of state.
"""
