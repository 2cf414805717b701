"""Baseline: a Starlette application that says hello, under the server settings Toro uses. `python -m bench.baselines.hello PORT`"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["hello", "serve"]


async def hello(request: Request) -> Response:
    """Say hello."""
    return PlainTextResponse("Hello, world!")


def serve(app: Starlette, port: int) -> None:
    """Serve an application as Toro's facade is served: one process, uvloop and httptools, nothing that is not needed."""
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/", hello)]), int(sys.argv[1]))
