import base64

import pytest

from swarm_formula.package import openpgp

KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawnglhYJKwYBBAHaRw8BAQdAZww+uzFWuV9UDCnUDoR3gPVWbmuT6LuSYzxS
GcMu90G0H1Rlc3QgZWQyNTUxOSA8dGVzdEBleGFtcGxlLmNvbT6IkAQTFggAOBYh
BJZiN1s3TwF/D8ELHVc36GnSbnMNBQJrCeCWAhsDBQsJCAcCBhUKCQgLAgQWAgMB
Ah4BAheAAAoJEFc36GnSbnMNRnIBANuNIURhoTc73MPoOSOeQ+TyYITtz3PmfDAL
CgwjfelEAQC/wcyo872bFVc5u3nXBeVbfbPHEADf9HHwbDNQQZcsAg==
=6vDf
-----END PGP PUBLIC KEY BLOCK-----
"""
# As gpg says.
FINGERPRINT = "9662375B374F017F0FC10B1D5737E869D26E730D"
BODY = "".join(KEY.splitlines()[2:7])


def armored(data):
    text = base64.b64encode(data).decode()
    return f"{KEY.splitlines()[0]}\n\n{text}\n{KEY.splitlines()[-1]}\n"


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        KEY.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: GnuPG v2\nComment: of a test\n\n"),
        KEY.replace("=6vDf\n", ""),
        f"pub   ed25519\n\n{KEY}",
        # With a length in the newer format.
        armored(b"\xc6\x33" + base64.b64decode(BODY)[2:]),
    ],
    ids=["plain", "windows", "headers", "no checksum", "text before", "new format"],
)
def test_fingerprint_is_that_of_gpg(text):
    assert openpgp.fingerprints(openpgp.block(text)) == [FINGERPRINT]


def test_second_key_in_a_block_is_seen():
    both = armored(base64.b64decode(BODY) * 2)
    assert openpgp.fingerprints(both) == [FINGERPRINT] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html>404</html>", "no blocks"),
        (KEY.replace("PUBLIC", "PRIVATE"), "no blocks"),
        (KEY + KEY, "2 blocks"),
    ],
)
def test_what_is_not_one_public_key_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        openpgp.block(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (armored(base64.b64decode(BODY)[:40]), "its end is missing"),
        (armored(b"no packet"), "a damaged key"),
        (armored(base64.b64decode(BODY).replace(b"\x04", b"\x06", 1)), "another version"),
        (armored(b"\xc6\xe1" + base64.b64decode(BODY)[2:]), "a packet in parts"),
    ],
)
def test_damaged_key_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        openpgp.fingerprints(text)
