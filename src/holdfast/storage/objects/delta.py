"""How Delta reaches a table of the object store."""

from __future__ import annotations

import os

__all__ = ["table_options"]

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def table_options(url: str) -> dict[str, str] | None:
    """The storage options for a table's address: None for a folder. Credentials stay in the environment.

    S3: a commit is a put that fails when its key exists, which needs a store that honours `If-None-Match`. On one
    that does not, the lease of the endpoint alone keeps two writers apart.
    """
    if "://" not in url:
        return None
    if not url.startswith("s3://"):
        return {}
    options = {"aws_conditional_put": "etag"}
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    if endpoint:
        options["aws_endpoint_url"] = endpoint
    if endpoint.startswith("http://"):
        options["aws_allow_http"] = "true"
    return options
