#!/usr/bin/env python3
"""An SMTP server for tests that misbehaves where it is told to.

    server = FaultServer(rcpt="550 no", extensions=["PIPELINING"]); server.port; server.transcript; server.messages; server.close()

Steps: greeting, ehlo, helo, mail, rcpt, data, end, rset. What a step does:

    "550 text"     that reply instead of the usual one (421 also closes)
    "die"          closes without a reply
    "hang"         says nothing more
    "garbage"      bytes that are no reply
    "early"        the usual reply, and another one that nobody asked for
    "endless"      a reply without end
    a function     called with the command's line; gives one of the above or None

`content="die"` closes, `content="hang"` stops reading, after the first bytes of a message.
`idle=SECONDS` closes the connection that long after a message.
"""
import asyncio
import threading

USUAL = {"greeting": "220 hello", "helo": "250 hello", "mail": "250 ok", "rcpt": "250 ok", "data": "354 go", "end": "250 taken", "rset": "250 ok"}


class Closed(Exception):
    pass


class FaultServer:
    def __init__(self, extensions=(), content=None, idle=None, **steps):
        self.extensions, self.content, self.idle, self.steps = list(extensions), content, idle, steps
        self.transcript, self.messages, self.connections = [], [], 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", 0, limit=1 << 22))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        server.close()
        clients = asyncio.all_tasks(self.loop)
        for client in clients:
            client.cancel()
        self.loop.run_until_complete(asyncio.gather(*clients, return_exceptions=True))
        self.loop.close()

    async def _client(self, reader, writer):
        self.connections += 1
        try:
            await self._dialogue(reader, writer)
        except (Closed, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer, step, line="", usual=None):
        usual = usual or USUAL[step]
        fault = self.steps.get(step)
        fault = fault(line) if callable(fault) else fault
        if fault == "die":
            raise Closed
        if fault == "hang":
            await asyncio.sleep(3600)
        text = {None: usual + "\r\n", "garbage": "\x01 nonsense\r\n", "early": usual + "\r\n250 more\r\n", "endless": "250-" + "x" * 300000}
        writer.write(text.get(fault, f"{fault}\r\n").encode())
        await writer.drain()
        if fault and fault.startswith("421"):
            raise Closed
        return fault if fault and fault[0] in "45" else None

    async def _dialogue(self, reader, writer):
        await self._answer(writer, "greeting")
        while line := (await reader.readline()).decode("latin-1").rstrip("\r\n"):
            self.transcript.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                lines = ["hello", *self.extensions]
                usual = "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{text}" for i, text in enumerate(lines))
                await self._answer(writer, "ehlo", line, usual)
            elif verb in ("HELO", "MAIL", "RCPT", "RSET"):
                await self._answer(writer, verb.lower(), line)
            elif verb == "DATA":
                if await self._answer(writer, "data", line) is None:
                    await self._data(reader, writer)
            elif verb == "BDAT":
                self.messages.append(await reader.readexactly(int(line.split(" ")[1])))
                await self._answer(writer, "end", line)
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return

    async def _data(self, reader, writer):
        if self.content:
            await reader.read(10)
            if self.content == "die":
                raise Closed
            await asyncio.sleep(3600)
        lines = []
        while (line := await reader.readuntil(b"\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.messages.append(b"".join(lines))
        await self._answer(writer, "end")
        if self.idle is not None:
            await asyncio.sleep(self.idle)
            raise Closed
