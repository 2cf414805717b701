"""A worker of an import: started by `toro_core.importing.workers`, ends with its input."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import BinaryIO

import msgspec

from toro_core.definitions import load
from toro_core.importing.frames import HEAD, Terms, frame, size_of
from toro_core.importing.preparing import Preparer
from toro_core.importing.reading import prepare_part
from toro_core.importing.sources import Part
from toro_core.search.extract import Extractor
from toro_core.validation import Validator

__all__ = ["main"]


def main() -> None:
    """Make one part ready after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the import hears it and ends this process
    gc.disable()
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed by mistake is no answer
    terms = msgspec.msgpack.decode(_received(given), type=Terms)
    preparer = _preparer(terms)
    encoder, parts = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Part)
    with suppress(BrokenPipeError):
        while data := _received(given):
            try:
                answer = encoder.encode(prepare_part(parts.decode(data), preparer, stop=terms.stop))
            except Exception:
                answer = b""  # the import does it again and has the error itself
            answers.writelines(frame(answer))
            answers.flush()


def _preparer(terms: Terms) -> Preparer:
    definitions = load().with_packages(terms.packages) if terms.packages else load()
    validator = None if terms.policy is None else Validator(definitions, policy=terms.policy)
    extractor = Extractor(definitions, terms.service_bases)
    return Preparer(definitions, extractor, strict=terms.strict, validator=validator)


def _received(stream: BinaryIO) -> bytes:
    """Return the next message, b"" where there is none."""
    head = stream.read(HEAD)
    return stream.read(size_of(head)) if len(head) == HEAD else b""


if __name__ == "__main__":
    main()
