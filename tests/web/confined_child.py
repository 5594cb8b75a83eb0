"""A child process whose connections all go through the door: tries each way that its input names, writes what came."""

from __future__ import annotations

import json
import sys

from holdfast.web.egress_proxy import confine


def attempt(kind: str, host: str, port: int, cafile: str) -> str:
    if kind == "requests":
        import requests

        return str(requests.get(f"https://{host}:{port}/", timeout=5, verify=cafile).text)
    if kind == "plain":
        import requests

        return str(requests.get(f"http://{host}:{port}/", timeout=5).text)
    if kind == "smtp":
        import smtplib

        with smtplib.SMTP(host, port, timeout=5) as mail:
            return mail.ehlo_resp.decode() if mail.ehlo()[0] == 250 else "?"
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as sock:
        if kind == "udp":
            sock.sendto(b"x", (host, port))
        else:
            sock.connect((host, port))
    return "connected"


def main() -> None:
    order = json.load(sys.stdin)
    confine(order["port"], order["secret"])
    for attempted in order["attempts"]:
        try:
            result = attempt(*attempted)
        except Exception as error:  # noqa: BLE001 - told to the test
            result = f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
