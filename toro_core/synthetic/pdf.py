"""A small signed PDF, written by hand so that the same text always gives the same bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate, compress
from math import isqrt
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

__all__ = ["Signer"]

_EXPONENT = 65537
_ROOM = 4096
"""Hexadecimal digits kept for the signature; one of RSA 2048 with its certificate takes about 2,700."""
_SIEVE = 2**15


class Signer:
    """Signs PDFs with a key made from a seed: for the sandbox only, since anyone can make it again."""

    def __init__(self, seed: int) -> None:
        self._key = _key(Random(f"signer {seed}"))  # noqa: S311 - repeatable on purpose
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox Records Office (synthetic)")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2045, 1, 1, tzinfo=UTC))
            .sign(self._key, SHA256())
        )

    def pdf(self, title: str, lines: list[str], signed: datetime) -> bytes:
        """Write a one-page PDF with an embedded detached PKCS#7 signature over all its other bytes."""
        unsigned = _document(_objects(title, lines, signed))
        start = unsigned.index(b"/Contents <") + len(b"/Contents ")
        end = start + _ROOM + 2
        spans = b"/ByteRange [0 %010d %010d %010d]" % (start, end, len(unsigned) - end)
        place = unsigned.index(b"/ByteRange [")
        unsigned = unsigned[:place] + spans + unsigned[place + len(spans) :]
        signature = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(unsigned[:start] + unsigned[end:])
            .add_signer(self.certificate, self._key, SHA256())
            .sign(
                Encoding.DER,
                [
                    pkcs7.PKCS7Options.DetachedSignature,
                    pkcs7.PKCS7Options.Binary,
                    pkcs7.PKCS7Options.NoAttributes,  # attributes would hold the time of signing
                ],
            )
        )
        return unsigned[: start + 1] + signature.hex().encode().ljust(_ROOM, b"0") + unsigned[end - 1 :]


def _objects(title: str, lines: list[str], signed: datetime) -> list[bytes]:
    words = b"BT /F1 11 Tf 56 780 Td 15 TL " + b" ".join(b"(%s) Tj T*" % _text(line) for line in [title, "", *lines])
    content = words + b" ET"
    return [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] /SigFlags 3 >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [6 0 R]"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Signature) /Rect [0 0 0 0] /F 132 /P 3 0 R /V 7 0 R >>",
        b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached /M (D:%s)"
        b" /ByteRange [0 %s %s %s] /Contents <%s> >>"
        % (signed.strftime("%Y%m%d%H%M%S").encode(), b"0" * 10, b"0" * 10, b"0" * 10, b"0" * _ROOM),
        b"<< /Title (%s) /Producer (Toro sandbox) >>" % _text(title),
    ]


def _text(words: str) -> bytes:
    encoded = words.encode("cp1252", "replace")
    return encoded.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _document(objects: list[bytes]) -> bytes:
    head = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    parts = [b"%d 0 obj\n%s\nendobj\n" % (number, body) for number, body in enumerate(objects, 1)]
    offsets = list(accumulate(map(len, parts), initial=len(head)))
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets[:-1])
    count = len(objects) + 1
    trailer = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (
        count,
        table,
        count,
        len(objects),
    )
    return head + b"".join(parts) + trailer + b"startxref\n%d\n%%%%EOF\n" % offsets[-1]


def _key(rng: Random) -> rsa.RSAPrivateKey:
    p, q = _prime(rng), _prime(rng)
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(_EXPONENT, p * q),
    ).private_key()


def _prime(rng: Random) -> int:
    small = _small_primes()
    while True:
        start = rng.getrandbits(1024) | 3 << 1022 | 1
        sieve = bytearray(b"\1") * 2048  # of start, start + 2, …: those without a small factor stay
        for factor in small:
            first = -start * pow(2, -1, factor) % factor
            sieve[first::factor] = bytes(len(range(first, len(sieve), factor)))
        for step in compress(range(len(sieve)), sieve):
            candidate = start + 2 * step
            if pow(2, candidate - 1, candidate) == 1 and candidate % _EXPONENT != 1:
                return candidate


def _small_primes() -> list[int]:
    sieve = bytearray(b"\1") * _SIEVE
    for number in range(3, isqrt(_SIEVE) + 1, 2):
        if sieve[number]:
            sieve[number * number :: 2 * number] = bytes(len(range(number * number, _SIEVE, 2 * number)))
    return [number for number in range(3, _SIEVE, 2) if sieve[number]]
