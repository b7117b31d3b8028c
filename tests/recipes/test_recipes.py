import dataclasses
import json

import pytest
import torch

from w3action.config import ConfigError, from_dict, override
from w3action.recipes import IDLE, OWN, RECIPES, changed_settings, recipe
from w3action.train.run import build_model


def as_written(config):
    return json.loads(json.dumps(dataclasses.asdict(config)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json(name):
    config = recipe(name)
    assert config.recipe == name
    assert from_dict(as_written(config), origin="test") == config
    assert changed_settings(as_written(config)) == []


# Of several recipes with one network, the one of most frames: 64 for an I3D, 92 in all for ECO.
NETWORKS = {
    repr((recipe(name).model, recipe(name).data.modality)): name
    for name in sorted(RECIPES, key=lambda name: recipe(name).data.num_frames)
}


@pytest.mark.parametrize("name", NETWORKS.values())
def test_every_recipe_builds_its_network(name):
    config = recipe(name)
    untrained = dataclasses.replace(config, model=dataclasses.replace(config.model, pretrained=None))
    channels = 10 if config.data.modality == "flow" else 3
    with torch.device("meta"):
        model = build_model(untrained, num_classes=5)
        clips = torch.empty(1, channels, config.data.num_frames, config.data.size, config.data.size)
        assert model.eval()(clips).shape == (1, 5)


@pytest.mark.parametrize("name", OWN)
def test_a_recipe_for_ones_own_clips_says_what_it_is_for(name):
    assert OWN[name].__name__ == name
    assert OWN[name].__doc__


def test_the_papers_recipes_follow_the_papers_training():
    config = recipe("ssv1_tsm_w3_16f")
    assert (config.mfr, config.mfr_weight) == (True, 1)  # equation 9 as it stands
    assert (config.epochs, config.batch_size, config.data.num_frames) == (50, 64, 16)
    assert (config.optim.lr, config.optim.milestones, config.optim.weight_decay) == (0.01, (0.4, 0.8), 5e-4)
    config = recipe("egogesture_tsm_8f")
    assert (config.epochs, config.optim.milestones, config.data.flip) == (20, (0.25, 0.5, 0.75), "auto")


def test_an_unknown_recipe_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown recipe 'ssv3'.*default, edge"):
        recipe("ssv3")


def test_what_a_run_has_changed_is_named():
    settings = ["optim.lr=0.02", "data.scales=1,0.9", "model.attention_options.temporal=false", "seed=3"]
    config = as_written(override(recipe("ssv1_tsm_w3_8f"), settings))
    assert changed_settings(config) == ["data.scales", "model.attention_options.temporal", "optim.lr"]
    teacher = as_written(dataclasses.replace(recipe("ssv1_tsm_w3_8f"), mfr=False))
    assert changed_settings(teacher) == ["mfr"]
    assert changed_settings({**config, "recipe": "ssv0"}) == ["recipe"]


def test_what_does_not_count_as_a_change_are_settings():
    def names(settings, prefix=""):
        for name, value in settings.items():
            yield from names(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]

    assert set(names(as_written(recipe("default")))) >= IDLE
