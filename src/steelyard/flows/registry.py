"""A trained folder → a version with the options that serve it → what the home serves.

Versions, aliases and history are in the truth, artefacts beside it. The artefact is written
first, so a crash in between leaves a folder that nothing points at, and that the next try reuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.registry import (
    ARTEFACT_MARK,
    NO_CHAMPIONS,
    OPTIONS_KIND,
    Alias,
    Champions,
    Event,
    Version,
)
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.binding import base_model, read_binding
from steelyard.infra.models import find_model
from steelyard.registry import (
    artefact_faults,
    artefact_folder,
    artefact_ids,
    check_artefact,
    check_base_of,
    keep_artefact,
    marked,
    read_manifest,
    together,
    usual_options,
    version_id,
)
from steelyard.store import DATABASE, Registered, Store

LEAST_PREFIX = 4
# How documents are read and cut is a home's own; port and cache are the server's.
NOT_A_VERSIONS = ("serve.", "cache.", "parse.", "chunk.", "index.")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be registered. `folder` holds the artefact; without one, `options` are all.

    `kind` is for a folder without `steelyard.json`, and so is `base`, which also says where the
    base is that an artefact knows by name alone. `options` are added to those that
    the artefact brings along, or that its kind is served by.
    """

    name: str
    folder: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    base: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found of one version: faults, which forbid serving it, and notes."""

    version: Version
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Registry:
    """The versions of a home. `option_value` returns an option's value in its type, or raises
    ValueError if it cannot have it."""

    def __init__(
        self, home: Path, store: Store, *, option_value: Callable[[str, Any], Any]
    ) -> None:
        self.home = home.expanduser().absolute()
        self.store = store
        self._option_value = option_value

    def register(self, draft: Draft, *, who: str, why: str = "") -> Registered:
        """Keep a version for good; equal content is the version that is there already.

        Raises:
            InputError: it has no name, no options, or options that none may have; all at once.
            SetupError: its base cannot be read, or the disk cannot be written.
        """
        if not draft.name.strip():
            raise InputError("a version needs a name, as --name support-reranker")
        if draft.folder is None:
            options = self._read_options(draft.options, artefact=False)
            return self._kept(draft, OPTIONS_KIND, options, who=who, why=why)
        if not draft.folder.is_dir():
            raise InputError(f"there is no folder {str(draft.folder)!r} to register")
        binding = read_binding(draft.folder)
        foreign = None if binding is not None else self._foreign(draft)
        told = binding or foreign
        assert told is not None
        if draft.kind and draft.kind != told.kind:
            raise InputError(f"{str(draft.folder)!r} holds a {told.kind}, not a {draft.kind}")
        usual = usual_options(told, base=draft.base)
        given = marked({**usual, **draft.options}, draft.folder)
        options = self._read_options(given, artefact=True)
        manifest = keep_artefact(self.home, draft.folder, binding=foreign)
        draft = replace(draft, licence=draft.licence or told.licence)
        return self._kept(
            draft, told.kind.value, options, artefact=manifest.id, binding=told, who=who, why=why
        )

    def find(self, named: str) -> Version:
        """Return a version by its id or the beginning of it, its alias, as `champion` or
        `reranker:champion`, or the newest of that name.

        Raises:
            NotFound: there is none; names those that there are.
            InputError: several are meant.
        """
        kind, _, alias = named.rpartition(":")
        if alias in set(Alias):
            return self._aliased(kind, Alias(alias))
        versions = self.store.versions()
        by_id = [one for one in versions if len(named) >= LEAST_PREFIX and one.id.startswith(named)]
        by_name = [one for one in versions if one.name == named]
        exact = [one for one in by_id if one.id == named]
        if len(by_id) > 1 and not exact and not by_name:
            raise InputError(f"{named!r} begins the ids of {len(by_id)} versions: write more of it")
        for one in (*exact, *by_name, *by_id):
            return one
        there = ", ".join(f"{one.name} ({one.id[:9]})" for one in versions[:10]) or "none"
        raise NotFound(f"no version {named!r} is registered; this home has {there}")

    def champions(self) -> Champions:
        """Return what is served now."""
        return champions_of(self.home, self.store)

    def champions_with(self, version: Version) -> Champions:
        """Return what would be served if a version were promoted."""
        now = self.store.champion_versions()
        others = [one for one in now.versions if one.kind != version.kind]
        kinds = sorted([*others, version], key=lambda one: one.kind)
        return together(self.home, now.seq, tuple(kinds))

    def check(self, version: Version) -> tuple[str, ...]:
        """Check what a version needs to be served here; return what could not be checked.

        Raises:
            SetupError: a byte of its artefact was changed, or its base is another.
        """
        if version.artefact:
            check_artefact(self.home, version.artefact)
        base = check_base_of(self.home, version, self.champions_with(version).options)
        if base.fault:
            raise SetupError(base.fault)
        return (base.note,) if base.note else ()

    def roll_back(
        self, kind: str = "", *, who: str, why: str = "", expected: int | None = None
    ) -> Event:
        """Serve what was champion before; needs no gate, but an artefact that is whole.

        Raises:
            InputError: there is nothing to go back to.
            SetupError: the previous version is damaged.
        """
        if expected is None:
            expected = self.store.registry_seq()
        history = self.store.registry_history()
        flips = [one for one in history if one.seq == expected]
        of = kind or (flips[0].kind if flips else "")
        previous = self.store.aliases().get(of, {}).get(Alias.PREVIOUS)
        if previous is not None:
            self.check(self.store.version(previous))
        return self.store.roll_back(of, who=who, why=why, expected=expected)

    def verify(self) -> list[Verified]:
        """Read every byte of every version's artefact, and compare the bases that are here."""
        found = []
        for version in self.store.versions():
            faults = artefact_faults(self.home, version.artefact) if version.artefact else []
            base = check_base_of(self.home, version, self.champions_with(version).options)
            notes = [base.note] if base.note else []
            if base.fault and not faults:
                faults.append(base.fault)
            found.append(Verified(version, tuple(faults), tuple(notes)))
        return found

    def orphans(self) -> list[str]:
        """Return artefacts that no version has: of registrations that were interrupted."""
        known = {one.artefact for one in self.store.versions()}
        return [identity for identity in artefact_ids(self.home) if identity not in known]

    def size_bytes(self, version: Version) -> int:
        return read_manifest(self.home, version.artefact).size_bytes if version.artefact else 0

    def folder(self, version: Version) -> Path | None:
        """Return where a version's files are; None: it has none."""
        return artefact_folder(self.home, version.artefact) if version.artefact else None

    def _kept(
        self,
        draft: Draft,
        kind: str,
        options: Mapping[str, Any],
        *,
        who: str,
        why: str,
        artefact: str = "",
        binding: Binding | None = None,
    ) -> Registered:
        version = Version(
            id=version_id(kind, options, artefact),
            name=draft.name.strip(),
            kind=kind,
            options=options,
            artefact=artefact,
            binding=binding,
            licence=draft.licence,
        )
        return self.store.register_version(version, who=who, why=why)

    def _foreign(self, draft: Draft) -> Binding:
        """Return the binding of an adapter that does not tell its own."""
        if draft.kind not in set(TuneKind) or not draft.base:
            raise InputError(
                f"{str(draft.folder)!r} has no steelyard.json; say what it is by --kind "
                f"{'|'.join(TuneKind)} and what it was trained on by --base MODEL"
            )
        path = Path(draft.base).expanduser()
        base = base_model(path if path.is_dir() else find_model(draft.base), name=draft.base)
        return Binding(TuneKind(draft.kind), base, method="unknown", max_tokens=0)

    def _read_options(self, given: Mapping[str, Any], *, artefact: bool) -> dict[str, Any]:
        """Return options in their types; raise InputError with all that is wrong of them."""
        options: dict[str, Any] = {}
        faults: list[str] = []
        for key, value in given.items():
            if key.startswith(NOT_A_VERSIONS):
                faults.append(f"{key} is not a version's: set it in the home's settings.toml")
            elif not artefact and isinstance(value, str) and ARTEFACT_MARK in value:
                faults.append(f"{key} names an artefact, and there is none")
            else:
                try:
                    options[key] = self._option_value(key, value)
                except ValueError as error:
                    faults.append(str(error))
        if not given and not artefact:
            faults.append("nothing to register: name a folder, or options by --set")
        if faults:
            raise InputError("; ".join(faults))
        return options

    def _aliased(self, kind: str, alias: Alias) -> Version:
        found = {k: held[alias] for k, held in self.store.aliases().items() if alias in held}
        if kind:
            found = {k: identity for k, identity in found.items() if k == kind}
        if not found:
            raise NotFound(f"no version is {alias}{f' of kind {kind!r}' if kind else ''}")
        if len(found) > 1:
            raise InputError(
                f"several kinds have a {alias}; write {' or '.join(f'{k}:{alias}' for k in found)}"
            )
        return self.store.version(next(iter(found.values())))


def champions_of(home: Path, store: Store) -> Champions:
    """Return what the registry has a home serve now."""
    served = store.champion_versions()
    return together(home, served.seq, served.versions)


def read_champions(home: Path) -> Champions:
    """Return what the registry has a home serve; nothing is made where there is no home yet.

    Raises:
        SetupError: the home's database cannot be read.
    """
    path = home.expanduser().absolute() / DATABASE
    if not path.exists():
        return NO_CHAMPIONS
    try:
        with Store.open(path, read_only=True) as store:
            return champions_of(home, store)
    except SetupError as error:
        if error.code == "older_layout":  # from before there was a registry
            return NO_CHAMPIONS
        raise
