"""A campaign of kills: it finds what a kill spoils, and goes on where it was."""

import json

import pytest

from keras_ff.lab import kill_campaign
from keras_ff.lab.kill_campaign import AS_UNDISTURBED, campaign, differences

# Counts to five in a file that is written whole, and goes on with it.
COUNT = """
import json, os, pathlib, sys, time
path = pathlib.Path('count.json')
count = json.loads(path.read_text())['count'] if path.exists() else 0
while count < 5:
    time.sleep(0.02)
    count += 1
    pathlib.Path('count.partial').write_text(json.dumps({'count': count, 'seconds': time.time()}))
    os.replace('count.partial', path)
"""
# The same, but what it writes after a kill is told apart.
FORGETFUL = (
    COUNT + "path.write_text(json.dumps({'count': count, 'resumed': '--resume' in sys.argv}))"
)
LITTERING = COUNT + "if '--resume' in sys.argv: pathlib.Path('.left').touch()"
REFUSING = COUNT + "if '--resume' in sys.argv: sys.exit('no such run')"


def test_a_command_that_goes_on_ends_as_undisturbed(tmp_path):
    commands = {"count": ("-c", COUNT)}
    first = campaign(commands, tmp_path, kills=1, seed=3)
    assert [one["outcome"] for one in first["kills"]] == [AS_UNDISTURBED]
    # It goes on with the kills that are left, at moments that the seed decides.
    record = campaign(commands, tmp_path, kills=3, seed=3)
    assert record["kills"][0] == first["kills"][0]
    assert [one["number"] for one in record["kills"]] == [0, 1, 2]
    assert len({one["moment"] for one in record["kills"]}) == 3
    assert all(one["moment"] <= record["whole"]["count"]["seconds"] for one in record["kills"])
    assert json.loads((tmp_path / "kills.json").read_text()) == record
    assert {path.name for path in (tmp_path / "count").iterdir()} == {"undisturbed"}
    with pytest.raises(ValueError, match=r"has the seed 3\. Received: seed=4"):
        campaign(commands, tmp_path, kills=3, seed=4)


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        (FORGETFUL, "differs: count.json"),
        (LITTERING, "differs: .left"),
        (REFUSING, "refused: no such run\n"),
    ],
)
def test_what_a_kill_spoils_is_found(program, outcome, tmp_path):
    record = campaign({"a command": ("-c", program)}, tmp_path, kills=1, seed=0)
    assert record["kills"][0]["outcome"] == outcome
    assert (tmp_path / "a_command" / "kill_0" / "count.json").exists()  # to be looked at


def test_seconds_machines_and_records_of_keras_tuner_are_not_compared(tmp_path):
    for name, changing in (("one", 1), ("other", 2)):
        folder = tmp_path / name
        (folder / "trials").mkdir(parents=True)
        (folder / "trials" / f"{name}.json").write_text("{}")
        content = {"metrics": [{"seconds": changing, "accuracy": 0.5}], "machine": changing}
        (folder / "metrics.json").write_text(json.dumps(content))
    assert differences(tmp_path / "one", tmp_path / "other") == []
    (tmp_path / "one" / "metrics.json").write_text('{"metrics": [{"accuracy": 0.6}]}')
    (tmp_path / "other" / "more.png").touch()
    assert differences(tmp_path / "one", tmp_path / "other") == ["more.png", "metrics.json"]


def test_an_end_that_differs_is_an_exit_code(tmp_path, monkeypatch, capsys):
    for program, code in ((COUNT, 0), (LITTERING, 1)):
        monkeypatch.setattr(kill_campaign, "COMMANDS", {"train": ("-c", program)})
        assert kill_campaign.main(["--kills", "1", "--out", str(tmp_path / str(code))]) == code
    assert "1 kills, 1 of them with another end." in capsys.readouterr().out


def test_it_is_refused_where_there_are_no_such_signals(monkeypatch, capsys):
    monkeypatch.delattr(kill_campaign.os, "killpg")
    with pytest.raises(SystemExit) as caught:
        kill_campaign.main([])
    assert caught.value.code == 2
    assert "it needs signals of POSIX systems. Received: platform" in capsys.readouterr().err
