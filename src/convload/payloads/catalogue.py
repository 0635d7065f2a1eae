"""Reads the files that payloads are made of: variants, pools and mixes."""

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from convload import bundled
from convload.errors import UsageError, why_unread
from convload.payloads.mixes import Mixes, read_mixes, read_pool
from convload.payloads.payload import Variant
from convload.payloads.positions import Mistakes
from convload.payloads.variants import read_variant

SAMPLES = 16
"""How many payloads of each variant are held against the contract whenever files are read."""

MIXES = "mixes.toml"
PATTERNS = ("variants/*.json", "negative/*.json", "pools/*.txt", MIXES)
"""The files that are read; whatever else lies in the folder is left alone."""


class Catalogue(msgspec.Struct, frozen=True):
    """All variants and mixes, compiled. `files` are the texts that they come from, by relative path.

    `origin` stands before these paths in messages.
    """

    files: dict[str, str]
    origin: str
    variants: dict[str, Variant]
    mixes: Mixes

    @classmethod
    def read(cls, folder: Path) -> "Catalogue":
        """Reads a folder; raises UsageError with every mistake of every file, and its place."""
        return _without_problems(*survey_folder(folder))

    @classmethod
    def from_files(cls, files: Mapping[str, str], samples: int = SAMPLES) -> "Catalogue":
        """Reads texts by relative path; raises UsageError as `read` does."""
        return _without_problems(*survey(files, "payloads", samples))


def _without_problems(catalogue: Catalogue, problems: list[str]) -> Catalogue:
    if problems:
        raise UsageError(*problems)
    return catalogue


def default_folder() -> Path:
    """Returns `./payloads` of a workspace, else the folder that comes with convload."""
    own = Path("payloads")
    return own if (own / "variants").is_dir() else bundled.folder("payloads")


def survey_folder(folder: Path, samples: int = SAMPLES) -> tuple[Catalogue, list[str]]:
    """Returns what is sound in a folder, and every mistake in the rest."""
    if not (folder / "variants").is_dir():
        return Catalogue({}, str(folder), {}, {}), [f"{folder}: there is no such folder, or no variants/ in it"]
    files: dict[str, str] = {}
    unread: list[str] = []
    problems: list[str] = []
    for path in sorted(path for pattern in PATTERNS for path in folder.glob(pattern)):
        if path.name.startswith("."):
            continue  # left by editors and file managers
        try:
            files[path.relative_to(folder).as_posix()] = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: cannot be read: {why_unread(error)}")
            unread.append(path.relative_to(folder).as_posix())
    catalogue, more = survey(files, str(folder), samples, unread)
    return catalogue, problems + more


def survey(
    files: Mapping[str, str], origin: str, samples: int = SAMPLES, unread: Collection[str] = ()
) -> tuple[Catalogue, list[str]]:
    """Returns what is sound in texts by relative path, and every mistake in the rest; `unread` are there, too."""
    problems: list[str] = []

    def tell(path: str, mistakes: Mistakes) -> None:
        problems.extend(f"{origin}/{path}:{place}: {what}" for place, what in mistakes)

    # A broken pool or variant keeps its name, so that what uses it is not called wrong as well.
    pools: dict[str, tuple[str, ...]] = {PurePosixPath(path).stem: ("",) for path in _ending_with(".txt", unread)}
    for path in _ending_with(".txt", files):
        values, mistakes = read_pool(files[path])
        tell(path, mistakes)
        pools[PurePosixPath(path).stem] = values or ("",)
    variants: dict[str, Variant] = {}
    names = {path.removesuffix(".json"): PurePosixPath(path).stem for path in _ending_with(".json", unread)}
    for path in _ending_with(".json", files):
        variant, mistakes = read_variant(path, files[path], pools, samples)
        tell(path, mistakes)
        names[path.removesuffix(".json")] = variant.name if variant else PurePosixPath(path).stem
        if variant and variants.setdefault(variant.name, variant) is not variant:
            taken = f"name: {variant.name!r} is the name of {variants[variant.name].file} already"
            tell(path, [("1", taken)])
    mixes, mistakes = read_mixes(files.get(MIXES, ""), names)
    tell(MIXES, mistakes)
    return Catalogue(dict(files), origin, variants, mixes), problems


def _ending_with(suffix: str, files: Collection[str]) -> list[str]:
    return sorted(path for path in files if path.endswith(suffix))
