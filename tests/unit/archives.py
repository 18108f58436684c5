"""
Archives for tests, good and bad.
"""

import hashlib
import io
import tarfile


def archive(path, **files):
    """Write an archive that holds ``files``."""
    with tarfile.open(path, "w:gz") as written:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(text)
            written.addfile(entry, io.BytesIO(text))
    return path


def snapshot(tmp_path, **sums):
    """Return a snapshot as Consul writes it."""
    files = {"meta.json": b"{}", "state.bin": b"state"}
    lines = [
        f"{sums.get(name.partition('.')[0], hashlib.sha256(data).hexdigest())}  {name}\n"
        for name, data in files.items()
    ]
    files["SHA256SUMS"] = "".join(lines).encode()
    return archive(tmp_path / "snap", **files).read_bytes()
