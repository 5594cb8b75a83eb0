"""The HTTP toolkit: declared routes, errors to responses, guards, templates, static files.

Rooms declare `Route`s whose handlers take a `Call` and return a record; this room turns them into an
application. Not here: any route of a capability, any rule.
"""

from holdfast.web.routing import Call, Form, Page, Raw, Redirect, Route, Stream, Upload, Visit

__all__ = ["Call", "Form", "Page", "Raw", "Redirect", "Route", "Stream", "Upload", "Visit"]
