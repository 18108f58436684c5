"""
Secrets and configs in versions: what is made, followed, kept and removed; no content is told.
"""

import hashlib

import pytest

from swarm_formula.core import errors
from swarm_formula.service import apply as service_apply
from swarm_formula.service import content_options, secrets_configs
from tests.unit.execution import mocked
from tests.unit.service_api import Manager, options, text

KINDS = sorted(content_options.KINDS)
CONTENT = "the-content-itself"


@pytest.fixture
def manager(monkeypatch):
    return Manager().patch(monkeypatch)


def apply(manager, kind, content, keep=2, test=False):
    one = content_options.Wanted(kind, "thing", content.encode(), keep)
    return secrets_configs.apply(manager, one, test)


def names(manager, kind):
    found = secrets_configs.objects(manager, kind)
    return [one["Spec"]["Name"] for one in secrets_configs.versions(found, "thing")]


@pytest.mark.parametrize("kind", KINDS)
def test_one_name_has_a_version_for_each_content(manager, kind):
    promised = apply(manager, kind, "one", test=True)
    assert manager.written == []
    told = apply(manager, kind, "one")
    assert told == promised
    (first,) = names(manager, kind)
    assert told == {"version": {"old": None, "new": first}}
    assert first.startswith("thing-")
    assert len(first) == len("thing-") + 12
    assert apply(manager, kind, "one") == {}
    told = apply(manager, kind, "two")
    second, _ = names(manager, kind)
    assert told == {"version": {"old": first, "new": second}}


@pytest.mark.parametrize("kind", KINDS)
def test_content_of_before_is_the_latest_again_without_another_object(manager, kind):
    apply(manager, kind, "one")
    apply(manager, kind, "two")
    second, first = names(manager, kind)
    assert apply(manager, kind, "one") == {"version": {"old": second, "new": first}}
    assert names(manager, kind) == [first, second]
    assert secrets_configs.current(secrets_configs.objects(manager, kind)) == {"thing": first}
    assert apply(manager, kind, "one") == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [2, 3])
def test_old_versions_go_but_those_that_are_kept(manager, kind, keep):
    for number in range(5):
        promised = apply(manager, kind, str(number), keep, test=True)
        assert apply(manager, kind, str(number), keep) == promised
        assert len(names(manager, kind)) == min(number + 1, keep)
    assert names(manager, kind)[0] == secrets_configs.version(kind, "thing", b"4")


@pytest.mark.parametrize("kind", KINDS)
def test_version_in_use_is_never_removed(manager, kind):
    apply(manager, kind, "one")
    service_apply.apply(manager, {"web": options(**{kind: ["thing"]})}, service_apply.Run(60))
    (used,) = names(manager, kind)
    for number in range(4):
        apply(manager, kind, str(number))
    assert len(names(manager, kind)) == 3
    assert used in names(manager, kind)
    with pytest.raises(errors.SwarmError, match=f"services use {used}"):
        secrets_configs.remove(manager, kind, "thing")
    # The service follows by one update, and the next change takes the old one.
    told = service_apply.apply(
        manager, {"web": options(**{kind: ["thing"]})}, service_apply.Run(60)
    )
    assert set(told["web"]) == {kind}
    apply(manager, kind, "last")
    assert used not in names(manager, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_version_that_an_update_may_be_rolled_back_to_stays(manager, kind):
    apply(manager, kind, "one")
    service_apply.apply(manager, {"web": options(**{kind: ["thing"]})}, service_apply.Run(60))
    (first,) = names(manager, kind)
    apply(manager, kind, "two")
    manager.behave["web"] = lambda manager, name: manager.status(name, "paused")
    with pytest.raises(errors.RolloutError):
        service_apply.apply(manager, {"web": options(**{kind: ["thing"]})}, service_apply.Run(60))
    manager.stop("web")
    apply(manager, kind, "three")
    assert first in names(manager, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("desired", "stays"), [("running", True), ("shutdown", False)])
def test_version_of_a_task_that_is_to_run_stays(manager, kind, desired, stays):
    """As that of an old task, which a paused update has left."""
    apply(manager, kind, "one")
    service_apply.apply(manager, {"web": options(**{kind: ["thing"]})}, service_apply.Run(60))
    (first,) = names(manager, kind)
    template = manager.services_["web"]["Spec"]["TaskTemplate"]
    apply(manager, kind, "two")
    service_apply.apply(manager, {"web": options(**{kind: ["thing"]})}, service_apply.Run(60))
    manager.start("web", desired=desired, template=template)
    apply(manager, kind, "three")
    assert (first in names(manager, kind)) is stays


@pytest.mark.parametrize("kind", KINDS)
def test_what_others_have_made_is_neither_taken_nor_removed(manager, kind):
    full = secrets_configs.version(kind, "thing", b"one")
    other = {"ID": "x", "Version": {"Index": 1}, "Spec": {"Name": full, "Labels": {}}}
    manager.files[kind][full] = other
    for test in (True, False):
        with pytest.raises(errors.SwarmError, match="that this formula has not made"):
            apply(manager, kind, "one", test=test)
        assert secrets_configs.remove(manager, kind, "thing", test) == {}
    assert manager.written == []
    assert list(manager.files[kind].values()) == [other]


@pytest.mark.parametrize("kind", KINDS)
def test_all_versions_are_removed(manager, kind):
    apply(manager, kind, "one")
    apply(manager, kind, "two")
    assert secrets_configs.remove(manager, kind, "thing", test=True)
    assert len(names(manager, kind)) == 2
    assert secrets_configs.remove(manager, kind, "thing")
    assert names(manager, kind) == []
    assert secrets_configs.remove(manager, kind, "thing") == {}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_changed_if_one_of_several_is_refused(manager, kind):
    large = content_options.Wanted(kind, "large", b"x" * 2_000_000)
    with pytest.raises(errors.SettingsError, match="large: found 2000000 bytes"):
        secrets_configs.apply_all(manager, [content_options.Wanted(kind, "thing", b"one"), large])
    assert manager.written == []


def test_name_of_a_secret_is_not_a_fast_hash_of_it():
    """Whoever reads the names in a log could try a dictionary on it."""
    one, other = (secrets_configs.version("secrets", name, b"1234") for name in ("a", "b"))
    assert one.partition("-")[2] != other.partition("-")[2]
    slow = hashlib.scrypt(b"1234", salt=b"a", n=4096, r=8, p=1, dklen=6)
    assert one == f"a-{slow.hex()}"


# ---- where contents come from


def given(spec, salt=None, name="thing", kind="secrets"):
    return content_options.given(salt or {}, kind, name, spec)


def test_content_is_taken_exactly_as_it_is(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"\x00 line\n\n")
    salt = mocked(cp__cache_file=str(file), sdb__get="of sdb")
    assert given({"content": " text\n"}).content == b" text\n"
    assert given({"source": str(file)}).content == b"\x00 line\n\n"
    assert given({"source": "salt://a/b"}, salt).content == b"\x00 line\n\n"
    salt["cp.cache_file"].assert_called_once_with("salt://a/b")
    assert given({"source": "sdb://vault/key"}, salt).content == b"of sdb"
    assert given({"content": "x", "keep": 5}).keep == 5


@pytest.mark.parametrize(
    ("spec", "name", "words"),
    [
        ({}, "thing", "secret thing: found 'not one of them'; right would be either 'content' or"),
        ({"content": CONTENT, "source": "/x"}, "thing", "either 'content' or 'source'"),
        ({"content": [CONTENT]}, "thing", "secret thing:content: found 'what is not shown'"),
        ({"content": ""}, "thing", "a text that is not empty"),
        ({"source": CONTENT}, "thing", "salt://PATH, sdb://PROFILE/KEY or the absolute path"),
        ({"content": CONTENT, "keep": 1}, "thing", "secret thing:keep: found 1; right would be a"),
        ({"contents": CONTENT}, "thing", "Did you mean 'content'?"),
        ({"content": CONTENT}, "x" * 52, "no longer than 51"),
        ({"content": CONTENT}, "-x", "letters, digits"),
        ({"source": "/no/such/file"}, "thing", "/no/such/file cannot be read: No such file"),
    ],
)
def test_wrong_secret_is_refused_without_its_content(spec, name, words):
    with pytest.raises(errors.SwarmError) as err:
        given(spec, name=name)
    assert words in str(err.value)
    assert CONTENT not in str(err.value)


def test_file_that_the_master_does_not_have():
    salt = mocked(cp__cache_file=False)
    with pytest.raises(errors.SwarmError, match="the master has no such file"):
        given({"source": "salt://none"}, salt)


@pytest.mark.parametrize("kind", KINDS)
def test_no_content_is_in_what_is_returned(manager, kind):
    told = [apply(manager, kind, f"{CONTENT}{number}") for number in range(4)]
    told += [secrets_configs.remove(manager, kind, "thing")]
    assert CONTENT not in text(told)
