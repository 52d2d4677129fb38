"""Bringing vgtui into a script's own Python, which may not have it: when PyTorch is there, and the script trains.

Loaded by its path, ahead of everything else, by any Python from 3.8 on: it imports little, and nothing of vgtui.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

VARIABLE = "VGTUI_EXEC"
"""What `vgtui exec` was told, as JSON: the arguments of Session, and the folder of vgtui's own msgspec."""
HOME = __file__.rsplit("/", 4)[0]
"""The folder of the packages vgtui and engine."""
NEEDED = (3, 11)


class NotLoadedError(Exception):
    """Why vgtui cannot be imported here, and what would help."""


def tell(text: str) -> None:
    """Say something on standard error, in one write, whatever the script has made of sys.stderr.

    On a terminal, the bars of tqdm make room for it, and are drawn again below.
    """
    said = f"vgtui: {text}\n".encode("utf-8", "replace")
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    try:
        if bars is not None and os.isatty(2):
            with bars.external_write_mode(sys.stderr):
                os.write(2, said)
        else:
            os.write(2, said)
    except Exception:  # the script's standard error may be closed, and its tqdm may be another
        pass


def wait_for_torch() -> None:
    """Have the optimizers of PyTorch tell us of their steps, once the script has imported it."""
    if "torch" in sys.modules:
        _listen()
    else:
        sys.meta_path.insert(0, _TorchImport())


class _TorchImport:
    """Finds PyTorch as the others do, and acts when it is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "torch":
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                self._act_after(spec.loader)
                return spec
        return None

    def _act_after(self, loader: Any) -> None:
        """Have the loader of PyTorch, for one time, tell when it is done."""
        run = getattr(loader, "exec_module", None)

        def exec_module(module: Any) -> None:
            vars(loader).pop("exec_module", None)
            run(module)  # type: ignore[misc]
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                _listen()

        if run is not None and hasattr(loader, "__dict__"):
            loader.exec_module = exec_module


def _listen() -> None:
    """Wait for the first step of an optimizer; until then nothing of vgtui is imported."""
    try:
        sys.modules["torch.optim.optimizer"].register_optimizer_step_pre_hook(_FirstStep())
    except (AttributeError, KeyError):
        tell("nothing is watched: this PyTorch has no hooks for all optimizers; it takes 2.2 or newer")


class _FirstStep:
    """The hook ahead of each step of an optimizer: the first one has vgtui imported."""

    def __init__(self) -> None:
        self._session: Any = None
        self._failed = False

    def __call__(self, optimizer: Any, *_: Any) -> None:
        if self._failed or sys.modules["torch"].compiler.is_compiling():
            return
        try:
            if self._session is None:
                self._session = _begin()
            self._session.before_step(optimizer)
        except NotLoadedError as error:
            self._failed = True
            tell(f"nothing is watched: {error}")
        except Exception as error:
            self._failed = True
            tell(f"nothing is watched, the training goes on: {type(error).__name__}: {error}")


def _begin() -> Any:
    import json

    given = json.loads(os.environ.get(VARIABLE, "{}"))
    module = load("vgtui.watching.automatic.session", given.pop("msgspec", None))
    session = module.Session(tell=tell, **given)
    session.install()
    return session


def load(name: str, msgspec: str | None) -> Any:
    """Import a module of vgtui, which the script's own Python may not have, and leave what it finds as it was.

    Args:
        name: The module.
        msgspec: A folder with vgtui's own msgspec, for a Python that has none.

    Raises:
        NotLoadedError: It cannot be imported by this Python.
    """
    here = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info < NEEDED:
        raise NotLoadedError(f"{sys.executable} is Python {here}; vgtui needs {'.'.join(map(str, NEEDED))} or newer")
    known = getattr(sys.modules.get("vgtui"), "__file__", None)
    home = known.rsplit("/", 2)[0] if known else HOME
    first = _OwnPackages({"vgtui": home, "engine": home})
    last = _OwnPackages({"msgspec": msgspec} if msgspec else {})
    # a script may have an `engine` of its own, which is not to be found by us, nor ours by it
    theirs = {} if _is_at(home, getattr(sys.modules.get("engine"), "__file__", None)) else _take_out("engine")
    sys.meta_path.insert(0, first)
    sys.meta_path.append(last)
    try:
        __import__(name)
        return sys.modules[name]
    except ImportError as error:
        missing = (error.name or str(error)).partition(".")[0]
        advice = f"{sys.executable} -m pip install {missing}"
        raise NotLoadedError(f"{sys.executable} (Python {here}) cannot import {missing}; {advice}") from error
    finally:
        sys.meta_path.remove(first)
        sys.meta_path.remove(last)
        spec = PathFinder.find_spec("engine")
        if theirs or (spec is not None and not _is_at(home, spec.origin)):
            _take_out("engine")
            sys.modules.update(theirs)


def _is_at(home: str, file: str | None) -> bool:
    """Whether a package called engine is the one of vgtui."""
    return file == f"{home}/engine/__init__.py"


def _take_out(package: str) -> dict[str, Any]:
    """Take a package out of what is imported. Returns its modules."""
    found = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}
    for name in found:
        del sys.modules[name]
    return found


class _OwnPackages:
    """Finds some packages, each in one folder, and nothing else that lies there."""

    def __init__(self, folders: dict[str, str]) -> None:
        self._folders = folders

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        folder = self._folders.get(name)
        return None if folder is None else PathFinder.find_spec(name, [folder], target)
