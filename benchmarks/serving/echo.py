"""The floor: the same stack without a prediction. A bare ASGI callable on uvicorn, httptools and uvloop that decodes
the same JSON and encodes an answer of the same size.

`python -m benchmarks.serving.echo PORT ANSWER_FILE`
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

__all__ = ["make_echo"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def make_echo(answer: Any) -> Callable[[Any, Receive, Send], Awaitable[None]]:
    """An application that decodes each body and encodes `answer`."""
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        message = await receive()
        decode(message["body"])
        body = encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def main() -> None:
    port, path = sys.argv[1:3]
    uvicorn.run(
        make_echo(msgspec.json.decode(Path(path).read_bytes())),
        host="127.0.0.1",
        port=int(port),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
