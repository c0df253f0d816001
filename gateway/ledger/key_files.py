"""Keys as files of a directory, mode 0600, on the machine that uses them.

`kek/<bucket>.<number>.key` and `index/<season>.key`. Where a root secret is given (from the environment or
a file elsewhere), each file holds its key encrypted under it. A file named `….destroyed` remembers that there
was one; a key is overwritten before it is removed. Back this directory up apart from the ledger, for
no longer than the keys themselves may live.
"""

from __future__ import annotations

import hmac
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import Misconfigured
from gateway.ledger.flushing import flush
from gateway.ledger.keys import KEY_BYTES, KeyGone, KeyVersion, WrongKey

_NONCE: Final = 12
_TAG: Final = 16
_ID: Final = r"(?P<bucket>[a-z][a-z0-9_-]*)\.(?P<number>[1-9][0-9]*)"
_NAME: Final = re.compile(_ID + r"\.(?P<state>key|retired)")
#: How long a version made or destroyed by another process may go unnoticed, in seconds.
NOTICED_WITHIN_S: Final = 2.0


def root_key(env: Mapping[str, str]) -> bytes | None:
    """The secret that key files are encrypted under: `GATEWAY_ROOT_KEY` (64 hexadecimal digits), or the
    file that `GATEWAY_ROOT_KEY_FILE` names (the same digits, mode 0600). None when neither is set.

    Raises `Misconfigured` for what is not such a key.
    """
    text = env.get("GATEWAY_ROOT_KEY")
    if not text and (name := env.get("GATEWAY_ROOT_KEY_FILE")):
        text = _secret_text(Path(name))
    if not text:
        return None
    try:
        return bytes.fromhex(text.strip())
    except ValueError as error:
        raise Misconfigured(["environment:1:1: the root key is not written in hexadecimal digits"]) from error


def _secret_text(path: Path) -> str:
    try:
        readable_by_others = path.stat().st_mode & 0o077
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise Misconfigured([f"{path}:1:1: the root key cannot be read"]) from error
    if readable_by_others:
        raise Misconfigured([f"{path}:1:1: key file may be read by others; chmod 600 it"])
    return text


class KeyFiles:
    """See `gateway.ledger.keys.KeyProvider`."""

    def __init__(self, directory: Path, root: bytes | None = None) -> None:
        """`root`: the secret that the files are encrypted under. Raises `Misconfigured` for a wrong size."""
        if root is not None and len(root) != KEY_BYTES:
            raise Misconfigured([f"environment:1:1: the root key has {len(root)} bytes, not {KEY_BYTES}"])
        self._keks = directory / "kek"
        self._indices = directory / "index"
        for folder in (directory, self._keks, self._indices):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = None if root is None else AESGCM(root)
        self._lock = threading.Lock()
        self._ciphers: dict[str, AESGCM] = {}
        self._newest: dict[str, KeyVersion] = {}
        #: Each has taken in its season's key: a copy of it makes a digest in half the time.
        self._digests: dict[int, hmac.HMAC] = {}
        self._looked_at = 0.0

    # wrapping

    def wrap(self, bucket: str, key: bytes, context: str) -> tuple[str, bytes]:
        self._notice_others()
        version = self._newest.get(bucket) or self._first(bucket)
        nonce = os.urandom(_NONCE)
        sealed = self._cipher(version.id).encrypt(nonce, key, _bound(context, version.id))
        return version.id, nonce + sealed

    def unwrap(self, key_id: str, wrapped: bytes, context: str) -> bytes:
        self._notice_others()
        try:
            return self._cipher(key_id).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _bound(context, key_id))
        except (InvalidTag, ValueError) as error:  # a nonce that was cut short is a ValueError
            raise WrongKey(key_id) from error

    def _cipher(self, key_id: str) -> AESGCM:
        known = self._ciphers.get(key_id)
        if known is None:
            if not re.fullmatch(_ID, key_id):  # a damaged id names no file
                raise KeyGone(key_id, destroyed=False)
            known = self._ciphers[key_id] = AESGCM(self._read(self._keks, key_id))
        return known

    # life of a key

    def rotate(self, bucket: str) -> KeyVersion:
        with self._lock:
            numbers = [version.number for version in self.versions() if version.bucket == bucket]
            return self._make(KeyVersion(bucket, max(numbers, default=0) + 1))

    def retire(self, key_id: str) -> None:
        path = self._keks / f"{key_id}.key"
        if path.exists():
            path.rename(self._keks / f"{key_id}.retired")
            flush(self._keks)

    def destroy(self, key_id: str) -> None:
        _destroy(self._keks, key_id)
        self._forget()

    def versions(self) -> Sequence[KeyVersion]:
        found = [match for path in self._keks.iterdir() if (match := _NAME.fullmatch(path.name))]
        return sorted(
            KeyVersion(match["bucket"], int(match["number"]), match["state"] == "retired") for match in found
        )

    def _first(self, bucket: str) -> KeyVersion:
        with self._lock:
            current = [version for version in self.versions() if version.bucket == bucket]
            if not current and any(self._keks.glob(f"{bucket}.*.destroyed")):
                raise KeyGone(bucket, destroyed=True)
            wrapping = [version for version in current if not version.retired]
            if not wrapping:
                return self._make(KeyVersion(bucket, max((v.number for v in current), default=0) + 1))
            self._newest[bucket] = wrapping[-1]
            return wrapping[-1]

    def _make(self, version: KeyVersion) -> KeyVersion:
        """Another process may make the same one at the same moment: then there is one, and it is both's."""
        self._write(self._keks, version.id, os.urandom(KEY_BYTES))
        self._newest[version.bucket] = version
        return version

    def _notice_others(self) -> None:
        """Look at the directory again now and then: other processes rotate and destroy too."""
        now = time.monotonic()
        if now - self._looked_at > NOTICED_WITHIN_S:
            self._looked_at = now
            self._forget()

    def _forget(self) -> None:
        there = {version.id: version for version in self.versions()}
        newest = {version.bucket: version for version in there.values() if not version.retired}
        self._newest = newest
        self._ciphers = {id: cipher for id, cipher in self._ciphers.items() if id in there}

    # index keys

    def digest(self, season: int, text: bytes) -> bytes:
        keyed = self._digests.get(season)
        if keyed is None:
            keyed = self._digests[season] = hmac.new(self._index_key(season), digestmod="sha256")
        digest = keyed.copy()
        digest.update(text)
        return digest.digest()

    def destroy_index(self, season: int) -> None:
        _destroy(self._indices, str(season))
        self._digests.pop(season, None)

    def _index_key(self, season: int) -> bytes:
        if not (self._indices / f"{season}.destroyed").exists():
            self._write(self._indices, str(season), os.urandom(KEY_BYTES))
        return self._read(self._indices, str(season))

    # files

    def _write(self, folder: Path, name: str, key: bytes) -> None:
        """Make the file whole or not at all; one that is there already stays."""
        draft = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._locked(key, name))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, folder / f"{name}.key")
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        flush(folder)

    def _read(self, folder: Path, name: str) -> bytes:
        for path in (folder / f"{name}.key", folder / f"{name}.retired"):
            if path.exists():
                return self._unlocked(path, name)
        raise KeyGone(name, destroyed=(folder / f"{name}.destroyed").exists())

    def _locked(self, key: bytes, name: str) -> bytes:
        if self._root is None:
            return key
        nonce = os.urandom(_NONCE)
        return nonce + self._root.encrypt(nonce, key, _bound("root", name))

    def _unlocked(self, path: Path, name: str) -> bytes:
        fault = partial("{}:1:1: {}".format, path)
        if path.stat().st_mode & 0o077:
            raise Misconfigured([fault("key file may be read by others; chmod 600 it")])
        content = path.read_bytes()
        wanted = KEY_BYTES if self._root is None else _NONCE + KEY_BYTES + _TAG
        if len(content) != wanted:
            hint = "" if self._root is None else " (was it made without the root key?)"
            raise Misconfigured([fault(f"a key file holds {wanted} bytes, this one {len(content)}{hint}")])
        if self._root is None:
            return content
        try:
            return self._root.decrypt(content[:_NONCE], content[_NONCE:], _bound("root", name))
        except InvalidTag as error:
            raise Misconfigured([fault("this key was made under another root key")]) from error


def _bound(context: str, key_id: str) -> bytes:
    return f"{context}|{key_id}".encode()


def _destroy(folder: Path, name: str) -> None:
    """Remember that there was one, overwrite it, remove it. Done again, it ends what a crash cut short."""
    (folder / f"{name}.destroyed").touch(mode=0o600)
    flush(folder)
    for path in (folder / f"{name}.key", folder / f"{name}.retired"):
        if path.exists():
            with path.open("r+b") as file:
                file.write(os.urandom(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
    flush(folder)
