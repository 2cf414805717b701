"""Baseline: a gRPC server of Toro's kind (`grpc.aio`) that says hello. `python -m bench.baselines.hello_grpc PORT`"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

__all__ = ["PATH", "serve"]

PATH = "/bench.Hello/Say"


async def _say(request: StringValue, context: grpc.aio.ServicerContext[Any, Any]) -> StringValue:
    return StringValue(value=f"Hello, {request.value}!")


async def serve(port: int) -> None:
    """Serve until the process is stopped."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(
        _say, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Hello", {"Say": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
