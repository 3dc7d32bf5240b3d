"""Recipes are TOML files: what is read, and how mistakes in them are reported."""

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from aftercall.errors import SettingsError
from training.fit.recipe import RECIPES_DIR, Recipe, get_recipe, override
from training.recipe_options import recipe_options


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_users_file_is_a_recipe_named_by_its_file(tmp_path: Path) -> None:
    recipe = get_recipe(write(tmp_path / "mine.toml", 'base = "a/b"\nlora_r = 8\ntarget_modules = ["q_proj"]\n'))
    assert (recipe.name, recipe.base, recipe.lora_r, recipe.target_modules) == ("mine", "a/b", 8, ("q_proj",))
    assert recipe.seed == 42


def test_the_built_in_recipes_are_such_files() -> None:
    names = sorted(path.stem for path in RECIPES_DIR.glob("*.toml"))
    assert names == ["phi-1_5-tweetsumm", "smollm2-135m-service", "smollm2-135m-tweetsumm"]
    for name in names:
        assert get_recipe(name) == get_recipe(str(RECIPES_DIR / f"{name}.toml"))
    notebook = get_recipe("phi-1_5-tweetsumm")
    assert (notebook.quantization, notebook.compute_dtype, notebook.references) == ("nf4", "float16", "first")
    assert (notebook.lora_r, notebook.lora_alpha, notebook.lora_dropout) == (16, 16, 0.05)
    assert (notebook.batch_size, notebook.learning_rate, notebook.schedule, notebook.num_epochs) == (
        4,
        2e-4,
        "cosine",
        1,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('base = "a"\nlerning_rate = 1\n', "mine.toml: unknown key 'lerning_rate'; did you mean 'learning_rate'?"),
        ('base = "a"\nxyzzy = 1\n', "mine.toml: unknown key 'xyzzy'; known keys: name, base, quantization, "),
        ('base = "a"\nlora_r = 0\n', "mine.toml: lora_r: Input should be greater than or equal to 1, not 0"),
        (
            'base = "a"\nquantization = "int3"\n',
            "mine.toml: quantization: Input should be 'nf4', 'int8', 'none' or 'auto'",
        ),
        (
            'base = "a"\nreport_to = ["w&b"]\n',
            "mine.toml: report_to: Input should be 'tensorboard', 'mlflow', 'trackio' ",
        ),
        ("lora_r = 8\n", "mine.toml: base: Field required"),
        ("base = \n", "mine.toml cannot be read as TOML: Invalid value (at line 1"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        get_recipe(write(tmp_path / "mine.toml", text))
    assert str(refusal.value).removeprefix(f"{tmp_path}/").startswith(said)


def test_an_unknown_recipe_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError,
        match="no recipe 'foo'; there are: phi-1_5-tweetsumm, smollm2-135m-service, smollm2-135m-tweetsumm, and",
    ):
        get_recipe("foo")
    with pytest.raises(SettingsError, match=r"no recipe 'nix/mine\.toml'"):
        get_recipe("nix/mine.toml")


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_reporter_that_is_not_installed_is_named() -> None:
    recipe = get_recipe("smollm2-135m-tweetsumm")
    with pytest.raises(SettingsError, match="report_to names mlflow, which is not installed; run `pip install mlflow`"):
        override(recipe, {"report_to": ("tensorboard", "mlflow")})


def test_every_value_is_an_option_of_train() -> None:
    def command() -> None: ...

    options = {option.name for option in recipe_options(command).__click_params__}
    assert options == {field.name for field in fields(Recipe)} - {"name"}


def test_options_replace_values_and_leave_the_others() -> None:
    recipe = get_recipe("smollm2-135m-tweetsumm")
    changed = override(recipe, {"lora_r": 4, "target_modules": ("attention",), "report_to": (), "seed": None})
    assert (changed.lora_r, changed.target_modules, changed.report_to) == (4, ("attention",), ("tensorboard",))
    assert (changed.seed, changed.learning_rate) == (1, 2e-3)
