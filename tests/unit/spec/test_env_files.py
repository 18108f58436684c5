"""
Files with variables of a service.
"""

import pytest

from swarm_formula.core import errors
from swarm_formula.spec import env_files

FILES = {
    "/a": b'# common\n\nLEVEL=info\nURL=http://x/?a=b\n  QUOTED="it\'s"\n',
    "/b": b"LEVEL=debug\nEMPTY=\n",
}


def filled(options, files=None):
    known = FILES if files is None else files
    load = lambda source, _what: known[source]  # noqa: E731
    return env_files.filled(load, {"web": options})["web"]


def test_later_files_count_more_and_env_most():
    found = filled({"image": "i", "env_files": ["/a", "/b"], "env": {"EMPTY": "no", "OWN": "1"}})
    assert found["env"] == {
        "LEVEL": "debug",
        "URL": "http://x/?a=b",
        "QUOTED": '"it\'s"',
        "EMPTY": "no",
        "OWN": "1",
    }
    assert filled({"env_files": ["/b", "/a"]})["env"]["LEVEL"] == "info"


@pytest.mark.parametrize("options", [{"image": "i"}, {"env_files": []}, {"env": {"A": "1"}}])
def test_without_files_options_stay_as_they_are(options):
    assert filled(options, files={}) == options


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            b"A=1\nHOME\n",
            "web:env_files:/x: found 'HOME without a value'; right would be NAME=value",
        ),
        (b"A=1\nA B=geheim\n", "web:env_files:/x: found 'line 2 of a file with variables'"),
        (b"=geheim\n", "found 'line 1 of a file with variables'"),
        (b"A=\xff\n", "found 'other bytes'; right would be a text in UTF-8"),
    ],
    ids=str,
)
def test_wrong_file_is_refused_with_its_place_and_without_values(content, text):
    with pytest.raises(errors.SettingsError) as err:
        filled({"env_files": ["/x"]}, {"/x": content})
    assert text in str(err.value)
    assert "Nothing was changed" in str(err.value)
    assert "geheim" not in str(err.value)
