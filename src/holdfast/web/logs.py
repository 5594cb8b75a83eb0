"""Structured logs: one JSON object a line, on standard error."""

from __future__ import annotations

import json
import logging
import sys

from holdfast.kernel.times import iso

__all__ = ["configure_logs"]


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update(getattr(record, "fields", {}))
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def configure_logs(process: str, level: str) -> None:
    """Send this process's logs from `level` (`settings.LEVELS`) up to standard error, as JSON lines that name it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())

    def name_process(record: logging.LogRecord) -> bool:
        record.fields = {"process": process, **getattr(record, "fields", {})}
        return True

    handler.addFilter(name_process)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
