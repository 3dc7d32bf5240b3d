"""Recipes: everything that decides what training does to a base model.

A recipe is a TOML file. The built-in ones are the files in `training/recipes`; `--recipe` takes the name of one of
them or the path of another.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from pydantic import ConfigDict, TypeAdapter, ValidationError

from aftercall.errors import SettingsError
from training.fit.reference_choice import References

#: Folder of the built-in recipes.
RECIPES_DIR = Path(__file__).parent.parent / "recipes"

Schedule = Literal["cosine", "linear", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"]
Reporter = Literal["tensorboard", "mlflow", "trackio", "wandb"]
LossOn = Literal["summary", "full"]
Method = Literal["sft", "dpo", "sft+dpo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to train. An adapter's card repeats all of it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    #: A base model, named as in the worker's settings.
    base: str
    #: How the base model's weights are stored while training.
    quantization: Literal["nf4", "int8", "none", "auto"] = "auto"
    compute_dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    #: `all-linear`, `attention`, or names of layers.
    target_modules: str | tuple[str, ...] = "all-linear"
    references: References = "all"
    #: How the model is asked: the name of a profile that ships, or the path of a TOML file.
    profile: str = "tweetsumm-1"
    #: Train on summaries (`sft`), on what people preferred to what (`dpo`), or on one after the other.
    method: Method = "sft"
    #: How strongly `dpo` holds the model to what it was before.
    dpo_beta: Annotated[float, Gt(0)] = 0.1
    dpo_learning_rate: Annotated[float, Gt(0)] = 5e-5
    dpo_epochs: Annotated[float, Gt(0)] = 1.0
    #: Which tokens the loss covers: those of the summary, or also those of the prompt.
    loss_on: LossOn = "summary"
    lora_r: Annotated[int, Ge(1)] = 16
    lora_alpha: Annotated[int, Ge(1)] = 16
    lora_dropout: Annotated[float, Ge(0), Le(0.9)] = 0.05
    is_rank_stabilized: bool = False
    #: Conversations per step and device, each with all its chosen references.
    batch_size: Annotated[int, Ge(1)] = 4
    #: Batches whose gradients are added up for one step.
    num_accumulated_batches: Annotated[int, Ge(1)] = 1
    learning_rate: Annotated[float, Gt(0)] = 2e-4
    schedule: Schedule = "cosine"
    #: Share of all steps in which the learning rate rises, 0 to 1.
    warmup_share: Annotated[float, Ge(0), Le(1)] = 0.0
    weight_decay: Annotated[float, Ge(0)] = 0.0
    num_epochs: Annotated[float, Gt(0)] = 1.0
    #: Training stops after this many steps, in each stage of `sft+dpo`; 0: after its epochs.
    max_steps: Annotated[int, Ge(0)] = 0
    #: A conversation with a longer prompt is shortened as in serving.
    max_prompt_tokens: Annotated[int, Ge(16)] = 1024
    is_gradient_checkpointing: bool = False
    #: Epochs without a lower validation loss after which training stops; 0: never.
    patience: Annotated[int, Ge(0)] = 0
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 42
    #: Another order of the conversations, from the same initial weights.
    data_order: Annotated[int, Ge(0)] = 0
    #: Number of runs, each in another order, whose weights are averaged.
    num_averaged_runs: Annotated[int, Ge(1)] = 1
    #: Where losses are reported while training.
    report_to: tuple[Reporter, ...] = ("tensorboard",)

    @property
    def trains_on_pairs(self) -> bool:
        """Whether preferences are part of the method."""
        return "dpo" in self.method


_SCHEMA: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def get_recipe(name: str) -> Recipe:
    """A built-in recipe by name, or one from a TOML file by its path; SettingsError if it is missing or wrong."""
    path = Path(name) if name.endswith(".toml") else RECIPES_DIR / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in RECIPES_DIR.glob("*.toml")))
        raise SettingsError(f"no recipe {name!r}; there are: {known}, and files that end in .toml")
    return read_recipe(path)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file, named by the file unless it has a `name`; SettingsError says what is wrong in it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error
    known = [field.name for field in fields(Recipe)]
    for key in document:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
            raise SettingsError(f"{path}: unknown key {key!r}; {hint}")
    return check_recipe({"name": path.stem, **document}, str(path))


def override(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """The recipe with the values of options that were given; SettingsError if it cannot be trained here."""
    given = {name: value for name, value in changes.items() if value not in (None, ())}
    changed = check_recipe(asdict(recipe) | given, "options of `aftercall train`")
    missing = [name for name in changed.report_to if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"report_to names {missing[0]}, which is not installed; run `pip install {missing[0]}` or name another"
        )
    return changed


def check_recipe(values: dict[str, object], where: str) -> Recipe:
    """A recipe of these values; SettingsError, which begins with `where`, names the first wrong one."""
    try:
        return _SCHEMA.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "recipe"
        raise SettingsError(f"{where}: {key}: {first['msg']}, not {first['input']!r}") from error
