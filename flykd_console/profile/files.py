"""Profile files: finding one, reading it, and the files that it builds on with `extends`.

    extends = "flykd.toml"                        # beside this file
    extends = ["primekg/basic-kd", "sizes.toml"]  # a shipped profile, then a file; later ones count more

Files are put on top of each other: those that a file extends first, in order, then the file itself. A file that several
of them extend counts once, where it comes first, so a file lower in the list overrides it. Paths inside a file are
relative to that file. A file that extends another and says no `run.name` is named after itself.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.profile.paths import paths_in
from flykd_console.profile.schema import Profile
from flykd_console.toml_text import LARGEST, parse_toml
from flykd_console.words import lowered

HINT_LIST = "List the shipped profiles: flykd-console profiles list"
EXTENDS = "extends"
SELECTION = "select.toml"
_EXTENDS_LINE = re.compile(r"""^extends\s*=\s*(\[[^\]]*\]|"[^"\n]*"|'[^'\n]*')""", re.MULTILINE)


@dataclass(frozen=True)
class Layer:
    """What one file says.

    Attributes:
        source: The file as messages name it.
        data: Its tables, without `extends`, its paths made absolute.
    """

    source: str
    data: dict[str, Any]


def read_layers(path: str | Path) -> list[Layer]:
    """Read a profile file and those that it extends, in the order in which they are put on top of each other.

    Raises:
        UserError: A file is missing or no TOML, or files extend each other in a circle; with the chain that led there.
    """
    layers: list[Layer] = []
    file = find_profile(path)
    _read(file, [str(path)], [], set(), layers)
    if len(layers) > 1:
        _name_after_file(layers[-1].data, file)
    return layers


def _name_after_file(data: dict[str, Any], file: Path) -> None:
    """Give a profile that builds on others its file's name, where it has none: theirs would be that of other runs."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).lstrip("._-").rstrip("-")
    run = data.setdefault("run", {})
    if name and isinstance(run, dict):
        run.setdefault("name", name)


def _read(file: Path, chain: list[str], open_files: list[Path], done: set[Path], layers: list[Layer]) -> None:
    """Append a file's layers, parents first; `chain` names the files from the first to this, `open_files` are they."""
    identity = file.resolve()
    if identity in open_files:
        circle = len(open_files) - open_files.index(identity)
        title = "extends itself" if circle == 1 else f"{circle} profiles extend each other in a circle"
        raise UserError(title, " → ".join(chain), "Take one of the `extends` out.")
    if identity in done:
        return
    done.add(identity)
    source = chain[-1]
    data = _parse(file, source)
    for parent in extended(data, source):
        found, name = _find_parent(parent, file, chain)
        _read(found, [*chain, name], [*open_files, identity], done, layers)
    data.pop(EXTENDS, None)
    make_paths_absolute(data, file.parent)
    layers.append(Layer(source, data))


def _parse(file: Path, source: str) -> dict[str, Any]:
    text = ""
    try:
        if file.stat().st_size > 4 * LARGEST:
            raise UserError("is too large for a profile", source, "Give a profile of at most a megabyte.")
        text = file.read_bytes().decode("utf-8-sig")  # editors on other systems put a mark first
        return parse_toml(text)
    except UnicodeDecodeError:
        raise UserError(
            "not a text file; a profile is TOML in UTF-8", source, "Save it as UTF-8 text, or give another file."
        ) from None
    except tomllib.TOMLDecodeError as error:
        said = str(error).replace("at end of document", f"at the end of line {len(text.splitlines())}, the last")
        raise UserError(f"not valid TOML: {lowered(said)}", source, "Mend the line, then try again.") from None
    except OSError as error:
        raise UserError(f"the profile cannot be read ({error.strerror})", source, CHECK_PATH) from None


def extended(data: dict[str, Any], source: str) -> list[str]:
    """The files that a profile's tables extend, as written.

    Raises:
        UserError: `extends` is neither text nor a list of texts.
    """
    value = data.get(EXTENDS, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(
            "must be a profile or a list of profiles, as text in quotes",
            f"{source}, {EXTENDS}",
            f'For example: {EXTENDS} = "primekg/flykd"',
        )
    return names


def _find_parent(name: str, file: Path, chain: list[str]) -> tuple[Path, str]:
    """The file that `extends = name` means in a file, one by relative path or else a shipped one, and its name."""
    beside = Path(os.path.normpath(file.parent / Path(name).expanduser()))
    found = beside if beside.is_file() else shipped_profiles().get(name)
    if found is not None:
        names = {path: shipped for shipped, path in shipped_profiles().items()}
        by_path = Path(chain[-1]).expanduser().is_file() and names.get(found) != name
        return found, os.path.normpath(Path(chain[-1]).parent / Path(name).expanduser()) if by_path else names[found]
    where = f"{' → '.join(chain)}, {EXTENDS} = {name!r}"
    folder = Path(os.path.normpath(file.parent / Path(name).parent))
    near = difflib.get_close_matches(Path(name).name, [p.name for p in folder.glob("*.toml")], n=1)
    near = [os.path.join(os.path.dirname(name), n) for n in near] or difflib.get_close_matches(name, shipped_profiles())
    raise UserError("there is no such profile", where, f"Did you mean {near[0]}?" if near else HINT_LIST)


def moved_text(file: Path) -> str:
    """A profile's text for another folder: what it extends is named so that it is found from there.

    Raises:
        UserError: The file is no TOML, or extends what is not there.
    """
    text = file.read_text(encoding="utf-8-sig")
    parents = extended(_parse(file, str(file)), str(file))
    if not parents:
        return text
    shipped = {path: name for name, path in shipped_profiles().items()}
    found = [_find_parent(parent, file, [str(file)])[0] for parent in parents]
    names = [shipped.get(path, os.path.abspath(path)) for path in found]
    value = json.dumps(names[0] if len(names) == 1 else names, ensure_ascii=False)
    return _EXTENDS_LINE.sub(lambda _: f"{EXTENDS} = {value}", text, count=1)


def make_paths_absolute(data: dict[str, Any], folder: Path) -> None:
    """Replace the paths in a profile's tables, in place; they are relative to the folder."""
    for keys, path in list(paths_in(Profile, data)):
        *tables, last = keys
        holder: Any = data
        for key in tables:
            holder = holder[key]
        holder[last] = _absolute(path, folder)


def _absolute(path: str, folder: Path) -> str:
    return os.path.abspath(folder / Path(path).expanduser())


def shipped_profiles() -> dict[str, Path]:
    """Name to file of the profiles that come with the program, such as `primekg/flykd`."""
    package = Path(str(resources.files("flykd_console")))
    installed, checkout = package / "_profiles", package.parent / "profiles"
    root = installed if installed.is_dir() else checkout
    files = sorted(path for path in root.rglob("*.toml") if path.name != SELECTION)
    return {str(path.relative_to(root).with_suffix("")): path for path in files}


def shipped_selection() -> Path:
    """The example of a selection that lies among the profiles, and is none."""
    package = Path(str(resources.files("flykd_console")))
    installed, checkout = package / "_profiles", package.parent / "profiles"
    return (installed if installed.is_dir() else checkout) / SELECTION


def find_profile(path: str | Path) -> Path:
    """The file of a profile: the path itself, or a shipped profile of that name.

    Raises:
        UserError: There is neither.
    """
    file = Path(path).expanduser()
    if file.is_file():
        return file
    shipped = shipped_profiles()
    name = str(path).removesuffix(".toml")
    if name in shipped and not file.exists() and not str(path).endswith(".toml"):
        return shipped[name]
    if file.is_dir():
        inside = next(iter(sorted(file.glob("*.toml"))), None)
        raise UserError("is a folder, not a profile", str(path), f"Did you mean {inside}?" if inside else HINT_LIST)
    if file.exists():
        raise UserError("is not a regular file", str(path), HINT_LIST)
    names = (name.removeprefix("profiles/"), file.stem)
    near = [n for n in names if n in shipped] or difflib.get_close_matches(names[0], shipped, n=1)
    near += [str(p) for p in _neighbours(file)]
    raise UserError("there is no such profile", str(path), f"Did you mean {near[0]}?" if near else HINT_LIST)


def _neighbours(file: Path) -> list[Path]:
    folder = file.parent
    names = [p.name for p in folder.glob("*.toml")] if folder.is_dir() else []
    return [folder / name for name in difflib.get_close_matches(file.name, names, n=1)]
