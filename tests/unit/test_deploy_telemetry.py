"""The files for a collector and for Grafana: each names what is there."""

import json
from typing import Any

import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "telemetry"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_collectors_pipelines_use_all_that_is_set_and_nothing_else() -> None:
    found = read("collector.yaml")
    pipelines = found["service"]["pipelines"]
    assert set(pipelines) == {"traces", "metrics"}
    for kind in ("receivers", "processors", "exporters"):
        assert {name for each in pipelines.values() for name in each[kind]} == set(found[kind])
    # What keeps memory bounded comes first, as its documentation asks for.
    assert all(each["processors"][0] == "memory_limiter" for each in pipelines.values())


def test_no_secret_is_in_the_collectors_file() -> None:
    assert read("collector.yaml")["exporters"]["otlphttp"] == {
        "endpoint": "${env:OTLP_BACKEND}",
        "headers": {"authorization": "${env:OTLP_AUTHORIZATION}"},
    }


def test_the_provider_of_dashboards_says_where_to_mount_them() -> None:
    (provider,) = read("grafana-dashboards.yaml")["providers"]
    path = provider["options"]["path"]
    assert f"{path}/shop.json" in (FOLDER / "grafana-dashboards.yaml").read_text()


def test_every_panel_has_a_title_a_place_and_a_data_source_of_the_image() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            uids = {target["datasource"]["uid"] for target in panel["targets"]}
            assert uids == {panel["datasource"]["uid"]}
            assert uids <= {"prometheus", "tempo"}
