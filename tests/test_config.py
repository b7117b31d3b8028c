"""Settings: typed, listed when unknown, and the same after a round trip through JSON."""

import dataclasses
import json

import jaxtyping
import pytest

from w3action.config import (
    ConfigError,
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    from_dict,
    list_settings,
    override,
)

DEFAULT = RunConfig()


def find(config: RunConfig, key: str) -> object:
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("optim.lr=0.02", "optim.lr", 0.02),
        ("optim.lr=1e-3", "optim.lr", 0.001),
        ("optim.lr=1", "optim.lr", 1.0),
        (" optim.lr = 0.02 ", "optim.lr", 0.02),
        ("mfr=true", "mfr", True),
        ("mfr=True", "mfr", True),
        ("optim.scale_lr=false", "optim.scale_lr", False),
        ("optim.scale_lr=FALSE", "optim.scale_lr", False),
        ("model.attention=w3", "model.attention", "w3"),
        ("model.attention=none", "model.attention", None),
        ("model.attention=None", "model.attention", None),
        ("model.refine=null", "model.refine", None),
        ("model.refine=false", "model.refine", False),
        ("model.pretrained=weights/my=best.pt", "model.pretrained", "weights/my=best.pt"),
        ("data.resize=256", "data.resize", 256),
        ("data.resize=none", "data.resize", None),
        ("data.scales=1,0.9", "data.scales", (1.0, 0.9)),
        ("data.scales=1", "data.scales", (1.0,)),
        ("data.scales=[1, 0.5]", "data.scales", (1.0, 0.5)),
        ("optim.milestones=0.25, 0.5, 0.75", "optim.milestones", (0.25, 0.5, 0.75)),
        ("model.attention_options.temporal=false", "model.attention_options", {"temporal": False}),
        ("model.attention_options.initial_mask=0.5", "model.attention_options", {"initial_mask": 0.5}),
        ("model.attention_options.temporal_conv=full", "model.attention_options", {"temporal_conv": "full"}),
        ('model.attention_options={"reduction": 8}', "model.attention_options", {"reduction": 8}),
        ("recipe.epochs=3", "epochs", 3),
        ("recipe=mine", "recipe", "mine"),
    ],
)
def test_a_setting_is_read_as_its_type(setting, key, value):
    found = find(override(DEFAULT, [setting]), key)
    assert found == value
    assert type(found) is type(value)


def test_settings_add_up_and_the_last_one_wins():
    config = override(DEFAULT, ["model.attention=w3", "model.attention_options.spatial=false", "epochs=3"])
    config = override(config, ["model.attention_options.temporal=false", "epochs=4", "epochs=5"])
    assert config == dataclasses.replace(
        DEFAULT,
        epochs=5,
        model=ModelConfig(attention="w3", attention_options={"spatial": False, "temporal": False}),
    )


def test_overriding_leaves_the_config_it_started_from_alone():
    start = RunConfig(model=ModelConfig(attention="w3", attention_options={"temporal": True}))
    override(start, ["model.attention_options.temporal=false", "epochs=1"])
    assert start == RunConfig(model=ModelConfig(attention="w3", attention_options={"temporal": True}))


def test_no_settings_change_nothing():
    assert override(DEFAULT, []) == DEFAULT


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("lr=1", r"there is no 'lr'; choose one of recipe, model, data, optim, .*checkpoint_every_steps"),
        ("optim.rate=1", r"there is no 'optim\.rate'; choose one of name, lr, .*freeze_batch_norm"),
        ("model.depth=50", r"there is no 'model\.depth'; choose one of name, attention, .*pretrained"),
        ("data.fps=4", r"there is no 'data\.fps'; choose one of modality, num_frames, .*cache_gib"),
        ("=3", r"choose one of recipe, model"),
        ("optim.lr.base=1", r"optim\.lr is one value"),
        ("optim.lr", r"write it as key=value"),
        ("optim=3", r"optim is 3: .*dictionary"),
        ("optim.lr=fast", r"optim\.lr is 'fast': .*number"),
        ("optim.lr=-1", r"optim\.lr is -1: .*greater than 0"),
        ("optim.lr=nan", r"optim\.lr is 'nan'"),
        ("optim.lr=Infinity", r"optim\.lr is inf: .*finite"),
        ("seed=-1", r"seed is -1: .*greater than or equal to 0"),
        ("data.train_fraction=0", r"data\.train_fraction is 0: .*greater than 0"),
        ("optim.warmup=1", r"optim\.warmup is 1: .*less than 1"),
        ("optim.milestones=0.4,1.5", r"optim\.milestones\.1 is 1\.5: .*less than 1"),
        ("model.dropout=-0.1", r"model\.dropout is -0\.1: .*greater than or equal to 0"),
        ("label_smoothing=1", r"label_smoothing is 1: .*less than 1"),
        ("optim.lr=none", r"optim\.lr is None"),
        ("optim.lr=true,false", r"optim\.lr is 'true,false'"),
        ("batch_size=8.5", r"batch_size is 8\.5: .*integer"),
        ("batch_size=0", r"batch_size is 0: .*greater than 0"),
        ("mfr=perhaps", r"mfr is 'perhaps': .*boolean"),
        ("model.attention=5", r"model\.attention is 5: .*string"),
        ("model.place=2", r"model\.place is 2: .*string"),
        ("optim.schedule=linear", r"optim\.schedule is 'linear': .*'step' or 'cosine'"),
        ("data.scales=1,wide", r"data\.scales\.1 is 'wide'"),
        ("model.attention_options=3", r"model\.attention_options is 3: .*dictionary"),
        ("recipe=5", r"recipe is 5: .*string"),
        ("model.attention_options.a.b=1", r"attention_options\.a"),
    ],
)
def test_what_does_not_fit_is_named(setting, text):
    with pytest.raises(ConfigError, match=text) as caught:
        override(DEFAULT, [setting])
    assert setting in str(caught.value)
    assert "\n" not in str(caught.value)


EVERY_SETTING_CHANGED = RunConfig(
    recipe="mine",
    model=ModelConfig(
        "tsm_small",
        "w3",
        {"temporal": False, "initial_mask": 0.5},
        "output",
        True,
        "every",
        {"num_frames": 4},
        0.1,
        "w.pt",
        "detector.pth",
    ),
    data=DataConfig("flow", 4, 64, 70, "dense", (1.0, 0.5), "off", 0.4, "verb", 0.5, 0, 1.5, "cuda"),
    optim=OptimConfig("adamw", 0.1, 8, False, "cosine", (0.5,), 0.1, False, 0.8, 0.01, 5.0, True),
    mfr=True,
    mfr_weight=0.5,
    mfr_reduction="sum",
    mfr_teacher="runs/teacher",
    mfr_teacher_weights="best",
    batch_size=16,
    epochs=3,
    label_smoothing=0.1,
    mixed_precision="bf16",
    seed=7,
    eval_every=2,
    checkpoint_every_steps=100,
)


def test_the_changed_config_here_is_complete():
    for config in ("model", "data", "optim"):
        for field in dataclasses.fields(getattr(DEFAULT, config)):
            assert find(EVERY_SETTING_CHANGED, f"{config}.{field.name}") != find(DEFAULT, f"{config}.{field.name}")
    for field in dataclasses.fields(RunConfig):
        assert getattr(EVERY_SETTING_CHANGED, field.name) != getattr(DEFAULT, field.name)


@pytest.mark.parametrize("config", [DEFAULT, EVERY_SETTING_CHANGED])
def test_json_builds_the_same_config_again(config):
    content = json.loads(json.dumps(dataclasses.asdict(config)))
    assert content.keys() == {field.name for field in dataclasses.fields(RunConfig)}
    assert from_dict(content, origin="run.json") == config


def test_what_is_at_its_default_may_be_left_out():
    assert from_dict({"optim": {"lr": 0.02}}, origin="x") == RunConfig(optim=OptimConfig(lr=0.02))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], r"run\.json: .*dictionary"),
        ({"colour": 1}, r"run\.json: colour is 1: unexpected"),
        ({"model": {"naem": "x"}}, r"run\.json: model\.naem is 'x': unexpected"),
        ({"data": {"num_frames": "eight"}}, r"run\.json: data\.num_frames is 'eight': .*integer"),
    ],
)
def test_content_that_does_not_fit_is_named(content, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ConfigError, match=message):
        from_dict(content, origin="run.json")


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT.epochs = 3


def all_keys(config: object, prefix: str = "") -> list[str]:
    keys = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            keys += all_keys(value, f"{prefix}{field.name}.")
        else:
            keys.append(prefix + field.name)
    return keys


def test_every_setting_has_a_line_that_says_what_it_does():
    settings = list_settings()
    assert [setting.key for setting in settings] == all_keys(DEFAULT)
    assert [setting.key for setting in settings if len(setting.about) < 10 or not setting.about.endswith(".")] == []
    assert len({setting.about for setting in settings}) == len(settings)


def test_a_setting_s_default_can_be_given_as_it_is_listed():
    settings = [f"{setting.key}={setting.default}" for setting in list_settings()]
    assert override(EVERY_SETTING_CHANGED, settings) == DEFAULT


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("optim.lr", "number > 0"),
        ("optim.warmup", "number >= 0, < 1"),
        ("optim.name", "sgd | adamw"),
        ("mfr", "true | false"),
        ("data.resize", "whole number > 0 | none"),
        ("data.scales", "numbers with commas between"),
        ("model.head_options", "options"),
    ],
)
def test_a_setting_s_type_is_said_in_words(key, words):
    assert [setting.type for setting in list_settings() if setting.key == key] == [words]
