"""The server of a scripted provider: a thread with an event loop, keep-alive, any number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Self

from ..core.identity import Dialect
from .answers import answer, dialect_of, error, events, model_list
from .script import Behaviour, Script, SeenRequest, chosen, json_object, ok, status


class ScriptedProvider:
    """The server. `script` is a function of the request, a behaviour, or a list of these that is used in
    order, its last entry without end.

    `GET /models` lists `models`, whatever the script says; with None the script answers that too. `port` 0
    takes a free one. Raises OSError when the port is in use."""

    def __init__(
        self,
        script: Script | Sequence[Behaviour | Script] | Behaviour = (),
        *,
        models: Sequence[str] | None = ("scripted-1",),
        port: int = 0,
    ) -> None:
        self.follow(script)
        self.models: tuple[str, ...] | None = None
        if models is not None:
            self.models = tuple(models)
        self.requests: list[SeenRequest] = []
        self._open: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"scripted-provider-{self.port}", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the endpoint's URL for the OpenAI dialects."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """Return the endpoint's URL for the Anthropic dialect, whose client adds the version itself."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> list[SeenRequest]:
        """Return the requests for a model's answer, without those to other routes."""
        return [request for request in self.requests if request.dialect is not None]

    @property
    def connections(self) -> int:
        """Return the number of connections that are open now."""
        return len(self._open)

    def follow(self, script: Script | Sequence[Behaviour | Script] | Behaviour) -> None:
        """Follow another script from the next request on; a list starts at its beginning."""
        if isinstance(script, Behaviour):
            script = [script]
        self._script, self._turn = script, 0

    def close(self) -> None:
        """Stop the server and cut open connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, sock=self._socket, limit=1024 * 1024)
        await self._stop.wait()
        # Accept no new connection. One that is just being accepted is let in and then cut, or its socket
        # would leak.
        self._loop.remove_reader(self._socket.fileno())
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._open:
                task.cancel()
            await asyncio.wait(others, timeout=0.05)
        server.close()
        # The loop closes cut connections in a later turn.
        await asyncio.sleep(0.001)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a coroutine runs in a task")
        self._open.add(task)
        try:
            while await self._answer_next(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer_next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Receive a request and answer it. Return True if the connection stays open."""
        arrived = await _receive(reader)
        seen = replace(arrived, number=len(self.requests) + 1)
        self.requests.append(seen)
        behaviour = self._behaviour(seen)
        await asyncio.sleep(behaviour.delay)
        if behaviour.silent:
            return await _break_off(behaviour, writer)
        if behaviour.body is None and seen.streams and seen.dialect is not None:
            return await _stream(seen, seen.dialect, behaviour, writer)
        body, headers = behaviour.body, dict(behaviour.headers)
        if body is None:
            body = json.dumps(answer(seen, behaviour)).encode()
            headers = {"content-type": "application/json", **headers}
        if behaviour.compressed:
            body, headers["content-encoding"] = gzip.compress(body), "gzip"
        head = {"x-request-id": f"scripted-{seen.number}", **headers, "content-length": str(len(body))}
        writer.write(_head(behaviour.status, head) + body)
        await writer.drain()
        return True

    def _behaviour(self, seen: SeenRequest) -> Behaviour:
        """Return the list of models if that is asked for, else what the script says."""
        lists = seen.method == "GET" and seen.path.partition("?")[0].endswith("/models")
        if lists and self.models is not None:
            return status(200, model_list(self.models))
        if callable(self._script):
            return self._script(seen)
        script = self._script or [ok()]
        self._turn += 1
        return chosen(script[min(self._turn, len(script)) - 1], seen)


async def _receive(reader: asyncio.StreamReader) -> SeenRequest:
    """Read a request; its `number` is 0."""
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    at = time.time()
    method, path, _ = start.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join([part async for part in _chunks(reader)])
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    asked = json_object(body)
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return SeenRequest(
        number=0,
        at=at,
        method=method,
        path=path,
        key=headers.get("x-api-key") or headers.get("api-key") or bearer or None,
        model=asked.get("model"),
        dialect=dialect_of(path),
        streams=bool(asked.get("stream")),
        headers=headers,
        body=body,
    )


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


def _head(code: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {code} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _break_off(behaviour: Behaviour, writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(behaviour.stall)
    if behaviour.reset:
        # With a linger time of 0 seconds, closing sends a reset instead of an orderly end.
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    writer.transport.abort()
    return False


async def _stream(
    seen: SeenRequest, dialect: Dialect, behaviour: Behaviour, writer: asyncio.StreamWriter
) -> bool:
    head = {
        "content-type": "text/event-stream",
        "x-request-id": f"scripted-{seen.number}",
        **dict(behaviour.headers),
        "transfer-encoding": "chunked",
    }
    writer.write(_head(behaviour.status, head))
    preamble, output = events(seen, dialect, behaviour)
    # Without `cut_after` the slice is the whole output.
    for event in [*preamble, *output[: behaviour.cut_after]]:
        _write_chunk(writer, event)
        await writer.drain()
        if behaviour.event_delay:
            await asyncio.sleep(behaviour.event_delay)
    if behaviour.error is not None:
        _write_chunk(writer, error(dialect, behaviour.error))
    await writer.drain()
    if behaviour.stall or behaviour.reset:
        return await _break_off(behaviour, writer)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
