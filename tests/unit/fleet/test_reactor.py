"""
The reactor's SLS, rendered by Salt itself: a forged event gives nothing.
"""

from pathlib import Path

import pytest
import salt.config
import salt.loader
import salt.template

from tests.unit.fleet.test_autojoin import HOSTILE

SLS = Path(__file__).parents[3] / "swarm/reactor/join.sls"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Return a function that renders the SLS for an event as the master's reactor does."""
    folder = tmp_path_factory.mktemp("master")
    opts = salt.config.master_config(None)
    opts.update(cachedir=str(folder), extension_modules=str(folder), renderer="jinja|yaml")
    renderers = salt.loader.render(opts, {})

    def render(tag, data):
        return salt.template.compile_template(
            str(SLS), renderers, "jinja|yaml", [], [], tag=tag, data=data
        )

    return render


def test_minion_that_starts_is_joined_by_a_list_of_its_one_id(rendered):
    found = rendered("salt/minion/m-4.example/start", {"id": "m-4.example"})
    reaction = found["minion joins the swarm"]["local.state.apply"]
    words = {key: value for one in reaction for key, value in one.items()}
    assert words == {
        "tgt": ["m-4.example"],
        "tgt_type": "list",
        "args": [{"mods": "swarm.join"}, {"queue": True}],
    }


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_id_gives_nothing(rendered, hostile):
    assert not rendered(f"salt/minion/{hostile}/start", {"id": hostile})


@pytest.mark.parametrize("data", [{"id": "m2"}, {"id": None}, {"id": ["m1"]}, {}])
def test_event_in_anothers_name_gives_nothing(rendered, data):
    assert not rendered("salt/minion/m1/start", data)
