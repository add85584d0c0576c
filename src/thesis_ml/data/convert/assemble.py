"""Columns of a file to events: four-momenta, selections, overlap removal, MET, weights, and the split of each event."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from thesis_ml.config import hint_nearest
from thesis_ml.data.checks import RANGES, Place, explain_exchanged, explain_not_finite
from thesis_ml.data.convert.config import (
    MOMENTA,
    PLACE,
    QUANTITIES,
    SPLITS,
    ConvertConfig,
    ObjectConfig,
    list_type_names,
)
from thesis_ml.data.convert.expressions import Expression, parse_expression
from thesis_ml.data.convert.readers.base import Columns
from thesis_ml.data.convert.tally import ClassTally, ObjectTally
from thesis_ml.data.events import FILE_FEATURES, Events, compute_mass, keep_events
from thesis_ml.data.units import MEV_PER_GEV
from thesis_ml.errors import ConfigError
from thesis_ml.metrics.residuals import wrap_angles
from thesis_ml.utils.arrays import NDArray

ENERGIES = ("pt", "mass", "E", "px", "py", "pz")
LARGEST_EVENT = 1e6
"""Objects of an event, by which places of types are kept apart."""

ReadColumn = Callable[[str], Any]


@dataclass(frozen=True)
class ConvertedEvents:
    """Some events of a file, with what the output needs beside them.

    Args:
        events: In GeV and radian; further columns are NaN for types that do not have them.
        splits: 0, 1, 2 for train, val, test.
        tally: What was counted on the way.
    """

    events: Events
    splits: Int[NDArray[Any], " N"]
    tally: ClassTally


@dataclass(frozen=True)
class TypeObjects:
    """The objects of one type of some events, back to back.

    Args:
        columns: By name a number for each.
        counts: How many each event has.
    """

    columns: Mapping[str, Float[NDArray[Any], " M"]]
    counts: Int[NDArray[Any], " N"]

    @property
    def owners(self) -> Int[NDArray[np.int64], " M"]:
        """The number of the event that each object belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def keep(self, is_kept: Bool[NDArray[Any], " M"]) -> "TypeObjects":
        """Return the objects where `is_kept` holds."""
        counts = np.bincount(self.owners[is_kept], minlength=len(self.counts))
        return TypeObjects({name: values[is_kept] for name, values in self.columns.items()}, counts)


class Assembler:
    """What a recipe makes of the columns of one file.

    Args:
        config: The recipe, with all types of objects.
        available: Columns that the file has.
        place: The file, for messages.

    Raises:
        ConfigError: An expression cannot be parsed.
        DataError: The file has not the columns that the recipe names.
    """

    def __init__(self, config: ConvertConfig, available: Sequence[str], place: Place) -> None:
        self.config, self.objects, self.place = config, config.objects, place
        self.available = dict.fromkeys(available)
        self.needed: dict[str, None] = {}
        self.types = {name: self._prepare_type(name, one) for name, one in self.objects.items()}
        self.met = {name: self._prepare(getattr(config.met, name), f"met.{name}") for name in ("pt", "phi", "px", "py")}
        self.event = {
            name: self._prepare(getattr(config, name), name, known=("met", "met_phi"))
            for name in ("event", "weight", "index", "label")
        }
        self.extra = {
            name: self._prepare(text, f"event_extra.{name}", known=("met", "met_phi"))
            for name, text in config.event_extra.items()
        }
        self.split = self._prepare(config.split.by, "split.by")

    @property
    def assumptions(self) -> list[str]:
        """What the recipe assumes where the file says nothing."""
        masses: dict[str, list[str]] = {}
        for name, kind in self.types.items():
            mass = self.objects[name].mass_gev
            if mass is not None and "E" not in kind.columns:
                masses.setdefault(f"mass {mass:g} GeV", []).append(name)
            elif not {"E", "mass"} & set(kind.columns):
                masses.setdefault("mass 0, as there is no column of mass or E", []).append(name)
        found = [f"{', '.join(names)}: {text}" for text, names in masses.items()]
        if self.config.met.from_objects:
            found.append("MET: minus the vector sum of the kept objects")
        if self.event["weight"] is None:
            found.append("weights: 1")
        return found

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return list(self.needed)

    def assemble(self, columns: Columns, *, label: int, file_hash: int, start: int) -> ConvertedEvents:
        """Return the events of some rows.

        Args:
            columns: By name a number or a list for each event.
            label: Class of all events, where no column says it.
            file_hash: Of the content of the file.
            start: Number of the first event.

        Raises:
            DataError: Columns do not fit each other, or a value cannot be.
        """
        n_events = len(next(iter(columns.values()))) if columns else 0
        self._start = start
        found = {name: self._take_objects(name, columns, n_events) for name in self.objects}
        objects = remove_overlap({name: one for name, (one, _) in found.items()}, self.config)
        self._counted = {name: one.counts for name, one in objects.items()}
        globals_ = self._find_met(objects, columns, n_events)
        for name, values in globals_.items():
            if (is_bad := ~np.isfinite(values)).any():
                problem = f"met: {name} is {float(values[is_bad.argmax()]):.4g}; expected a finite number"
                raise self.place.error(problem, start + int(is_bad.argmax()))

        def column(name: str) -> Any:
            return globals_[name] if name in globals_ else columns[name]

        def evaluate(name: str, default: Any) -> NDArray[Any]:
            expression = self.event.get(name) or self.extra.get(name)
            values = default if expression is None else _evaluate_events(expression, column)
            return np.broadcast_to(values, n_events)

        is_kept = _refuse_numbers(evaluate("event", True), "event")
        index = self._read_whole("index", evaluate("index", start + np.arange(n_events)))
        labels = self._read_whole("label", evaluate("label", label))
        weights = evaluate("weight", 1.0).astype(np.float64)
        per_event = {**globals_, **{name: evaluate(name, math.nan).astype(np.float64) for name in self.extra}}
        events, n_dropped = self._join_objects(objects, n_events)
        events = Events(events.features, events.ids, events.lengths, per_event, labels, weights, index)
        splits = self._choose_splits(index, column, file_hash)
        kept = keep_events(events, is_kept)
        tallies = {
            name: ObjectTally(
                n_read,
                *(int(one.sum()) for one in (selected.counts, objects[name].counts, objects[name].counts[is_kept])),
            )
            for name, (selected, n_read) in found.items()
        }
        names = list_type_names(self.objects)
        tally = ClassTally.count(kept, names, n_read=n_events, objects=tallies, n_dropped=int(n_dropped[is_kept].sum()))
        return ConvertedEvents(kept, splits[is_kept], tally)

    def _prepare_type(self, name: str, one: ObjectConfig) -> "_Type":
        where = f"objects.{name}"
        columns = {
            quantity: self._prepare(text, f"{where}.columns.{quantity}", prefix=one.prefix)
            for quantity, text in one.columns.items()
        }
        for quantity in QUANTITIES:
            if quantity not in columns and f"{one.prefix}{quantity}" in self.available and one.prefix:
                columns[quantity] = self._prepare(quantity, where, prefix=one.prefix)
        if not any(set(momentum) <= set(columns) for momentum in MOMENTA):
            best = max(MOMENTA, key=lambda momentum: len(set(momentum) & set(columns)))
            missing = one.prefix + next(quantity for quantity in best if quantity not in columns)
            hint = hint_nearest(missing, [column for column in self.available if column != missing])
            raise self.place.error(f"has no column {missing!r} (objects.{name}){hint}")
        known = tuple(QUANTITIES)
        texts = {"select": self.config.select, f"{where}.select": one.select}
        selects = [
            expression
            for key, text in texts.items()
            if (expression := self._prepare(text, key, prefix=one.prefix, known=known)) is not None
        ]
        extra = {
            name: self._prepare(text, f"{where}.extra.{name}", prefix=one.prefix, known=known)
            for name, text in one.extra.items()
        }
        place = f"{one.prefix}{PLACE}"
        if place in self.available:
            self.needed[place] = None
        return _Type(columns, selects, extra, place if place in self.available else None)

    def _prepare(
        self, text: str | None, where: str, *, prefix: str | None = None, known: Sequence[str] = ()
    ) -> Expression | None:
        """Return the expression of a text, after its columns are found in the file.

        Args:
            text: Of objects or, without a prefix, of events.
            where: Its key, for messages.
            prefix: What columns of the object begin with.
            known: Names that are no columns.
        """
        if text is None:
            return None
        expression = parse_expression(text, where, functions={"count": self._count} if prefix is None else {})
        if prefix is not None and expression.reductions:
            raise ConfigError(
                f"{where}: {expression.reductions[0]} is one number for each event; an expression of objects takes "
                "numbers of each object, such as pt > 25; select events with event"
            )
        for name in expression.names:
            if name not in known:
                self.needed[self._find(name, prefix or "", where)] = None
        return expression

    def _find(self, name: str, prefix: str, where: str) -> str:
        for candidate in (f"{prefix}{name}", name):
            if candidate in self.available:
                return candidate
        ours = [one.removeprefix(prefix) for one in self.available if one.startswith(prefix)]
        hint = hint_nearest(name, ours) or hint_nearest(name, self.available)
        raise self.place.error(f"has no column {name!r}{f' or {prefix + name!r}' * bool(prefix)} ({where}){hint}")

    def _count(self, *names: str) -> Any:
        """Return the number of kept objects of some types in each event."""
        if unknown := [name for name in names if name not in self.objects]:
            raise ConfigError(f"count: unknown object {unknown[0]!r}; available: {', '.join(self.objects)}")
        return sum(self._counted[name] for name in names)

    def _take_objects(self, name: str, columns: Columns, n_events: int) -> tuple[TypeObjects, int]:
        """Return the selected objects of a type, and how many there were before."""
        one, kind = self.objects[name], self.types[name]
        where = f"objects.{name}"
        counts = self._count_objects(name, columns, n_events)

        def read(column: str) -> Any:
            found = self._flatten(columns[self._find(column, one.prefix, where)], counts, f"{where}: {column}")
            if found.dtype == np.float16 and np.isinf(found).any():
                raise self.place.error(f"{where}: {column} {explain_not_finite(math.inf, np.float16)}")
            return found

        values = {quantity: expression.evaluate(read) for quantity, expression in kind.columns.items()}
        per_gev = MEV_PER_GEV if (one.unit or self.config.unit) == "MeV" else 1.0
        scaled = {key: part / per_gev if key in ENERGIES else part for key, part in values.items()}
        self._check_momenta(scaled, counts, where)
        with np.errstate(all="ignore"):
            momenta = _complete(scaled, one.mass_gev)

        def look(column: str) -> Any:
            return momenta[column] if column in momenta else read(column)

        found = {key: momenta[key] for key in FILE_FEATURES}
        found |= {key: expression.evaluate(look) for key, expression in kind.extra.items()}
        if kind.place is not None:
            found[PLACE] = self._flatten(columns[kind.place], counts, where)
        n_objects = int(counts.sum())
        arrays = {key: np.broadcast_to(np.asarray(part, dtype=np.float64), n_objects) for key, part in found.items()}
        objects = TypeObjects(arrays, counts)
        is_kept = np.ones(n_objects, dtype=bool)
        for select in kind.selects:
            is_kept &= _refuse_numbers(np.asarray(select.evaluate(look)), select.where)
        return objects.keep(is_kept), n_objects

    def _check_momenta(self, scaled: Mapping[str, Any], counts: Int[NDArray[Any], " N"], where: str) -> None:
        """Refuse what a selection would hide: a NaN drops out of any, and eta ends where it says."""
        columns = {key: np.broadcast_to(part, int(counts.sum())) for key, part in scaled.items()}
        low, high = RANGES["rad"]
        for key, part in columns.items():
            is_bad = ~np.isfinite(part) if key != "phi" else ~((part >= low) & (part <= high))
            if is_bad.any():
                owner = int(np.searchsorted(np.cumsum(counts), is_bad.argmax(), side="right"))
                expected = f"radian, {low:.3g} to {high:.3g}" if key == "phi" else "a finite number"
                shown = f"{key} is {float(part[is_bad.argmax()]):.4g} for an object"
                raise self.place.error(f"{where}: {shown}; expected {expected}", self._start + owner)
        if (problem := explain_exchanged(columns)) is not None:
            raise self.place.error(f"{where}: {problem}; correct the columns of the recipe")

    def _count_objects(self, name: str, columns: Columns, n_events: int) -> Int[NDArray[np.int64], " N"]:
        """Return how many objects of a type each event has: as many as its first list of numbers has entries."""
        one = self.objects[name]
        for expression in self.types[name].columns.values():
            for column in expression.names:
                values = columns[self._find(column, one.prefix, f"objects.{name}")]
                if ak.Array(values).ndim == 2:
                    return np.asarray(ak.to_numpy(ak.num(values)), dtype=np.int64)
        return np.ones(n_events, dtype=np.int64)

    def _flatten(self, values: Any, counts: Int[NDArray[Any], " N"], where: str) -> NDArray[Any]:
        """Return a number for each object: of lists their entries, of a number for each event that number."""
        array = ak.Array(values)
        if array.ndim == 1:
            return np.repeat(ak.to_numpy(array), counts)
        if array.ndim != 2 or not np.array_equal(ak.to_numpy(ak.num(array)), counts):
            raise self.place.error(f"{where}: has lists of other lengths than the columns before it; expected the same")
        return np.asarray(ak.to_numpy(ak.flatten(array)))

    def _find_met(self, objects: Mapping[str, TypeObjects], columns: Columns, n_events: int) -> dict[str, Any]:
        per_gev = MEV_PER_GEV if (self.config.met.unit or self.config.unit) == "MeV" else 1.0
        given = {
            name: np.broadcast_to(_evaluate_events(one, lambda column: columns[column]), n_events).astype(np.float64)
            for name, one in self.met.items()
            if one is not None
        }
        if "pt" in given:
            return {"met": given["pt"] / per_gev, "met_phi": given["phi"]}
        if "px" in given:
            px, py = given["px"] / per_gev, given["py"] / per_gev
        else:
            px, py = np.zeros(n_events), np.zeros(n_events)
            for one in objects.values():
                for total, turn in ((px, np.cos), (py, np.sin)):
                    total -= np.bincount(one.owners, one.columns["pt"] * turn(one.columns["phi"]), minlength=n_events)
        return {"met": np.hypot(px, py), "met_phi": np.arctan2(py, px)}

    def _join_objects(self, objects: Mapping[str, TypeObjects], n_events: int) -> tuple[Events, NDArray[Any]]:
        """Return the objects of all types in one order, and how many each event lost to the cap."""
        owners = np.concatenate([one.owners for one in objects.values()])
        ids = np.concatenate([np.full(one.counts.sum(), self.objects[name].id) for name, one in objects.items()])
        flat = {
            key: np.concatenate([one.columns.get(key, np.full(one.counts.sum(), np.nan)) for one in objects.values()])
            for key in (*FILE_FEATURES, *self.config.extra_names)
        }
        chosen = np.lexsort((-flat["pt"], owners))
        counts = np.bincount(owners, minlength=n_events)
        if self.config.max_objects is not None:
            starts = np.cumsum(counts) - counts
            chosen = chosen[np.arange(len(owners)) - starts[owners[chosen]] < self.config.max_objects]
        if self.config.order == "as_stored":
            places = _list_places(list(objects.values()))[chosen]
            chosen = chosen[np.lexsort((places, owners[chosen]))]
        lengths = np.bincount(owners[chosen], minlength=n_events)
        events = Events.without_labels({key: part[chosen] for key, part in flat.items()}, ids[chosen], lengths, {})
        return events, counts - lengths

    def _read_whole(self, where: str, values: NDArray[Any]) -> Int[NDArray[np.int64], " N"]:
        """Return whole numbers of events; others would be cut off."""
        if values.dtype.kind == "f" and (is_bad := ~(np.isfinite(values) & (values == np.floor(values)))).any():
            raise self.place.error(f"{where} gives {values[is_bad.argmax()]:g}; expected whole numbers")
        return values.astype(np.int64)

    def _choose_splits(self, index: Int[NDArray[Any], " N"], column: ReadColumn, file_hash: int) -> NDArray[np.int64]:
        if self.split is not None:
            chosen = self._read_whole("split.by", np.broadcast_to(_evaluate_events(self.split, column), len(index)))
            self.place.refuse_rows((chosen < 0) | (chosen >= len(SPLITS)), "split.by gives another number than 0, 1, 2")
            return chosen
        shares = [getattr(self.config.split.fractions, name) for name in SPLITS]
        drawn = _draw(index, file_hash, self.config.split.seed)
        return np.searchsorted(np.cumsum(shares)[:-1], drawn, side="right")


@dataclass(frozen=True)
class _Type:
    """The expressions of a type of object."""

    columns: Mapping[str, Any]
    selects: Sequence[Expression]
    extra: Mapping[str, Any]
    place: str | None


def _evaluate_events(expression: Expression, read: ReadColumn) -> NDArray[Any]:
    """Return one number for each event, or one for all.

    Raises:
        ConfigError: The expression gives lists.
    """
    values = expression.evaluate(read)
    if getattr(values, "ndim", 0) > 1:
        raise ConfigError(
            f"{expression.where}: {expression.text!r} gives a list for each event; expected a number, such as an "
            "entry x[0] or sum(x)"
        )
    return np.asarray(ak.to_numpy(values))


def _refuse_numbers(values: NDArray[Any], where: str) -> Bool[NDArray[Any], "..."]:
    """Return truth values as they are.

    Raises:
        ConfigError: They are numbers.
    """
    if values.dtype != np.bool_:
        raise ConfigError(f"{where}: gives numbers, not true or false; write a comparison such as x > 0")
    return values


def remove_overlap(objects: Mapping[str, TypeObjects], config: ConvertConfig) -> dict[str, TypeObjects]:
    """Return the objects without those that are near others, rule by rule."""
    left = dict(objects)
    for rule in config.overlap:
        for name in rule.remove:
            ours = left[name]
            is_near = np.zeros(len(ours.columns["pt"]), dtype=bool)
            for other in (left[near] for near in rule.near if near != name):
                first, second = _pair(ours.counts, other.counts)
                eta = ours.columns["eta"][first] - other.columns["eta"][second]
                turn = ours.columns["phi"][first] - other.columns["phi"][second]
                is_near[first[eta**2 + wrap_angles(turn) ** 2 < rule.dr**2]] = True
            left[name] = ours.keep(~is_near)
    return left


def _pair(ours: Int[NDArray[Any], " N"], others: Int[NDArray[Any], " N"]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all pairs of objects of the same event, as places among the objects of all events."""
    partners = np.repeat(others, ours)
    first = np.repeat(np.arange(len(partners)), partners)
    starts = np.repeat(np.cumsum(others) - others, ours)
    within = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    return first, starts[first] + within


def _list_places(objects: Sequence[TypeObjects]) -> NDArray[np.float64]:
    """Return the places of objects in their events: those of the reader, else type after type."""
    return np.concatenate(
        [
            one.columns.get(PLACE, number * LARGEST_EVENT + np.arange(int(one.counts.sum())))
            for number, one in enumerate(objects)
        ]
    )


def _complete(values: Mapping[str, Any], mass_gev: float | None) -> dict[str, Any]:
    """Return pt, eta, phi, mass and E of objects of which some are given."""
    found = dict(values)
    if "pt" not in found:
        found["pt"], found["phi"] = np.hypot(found["px"], found["py"]), np.arctan2(found["py"], found["px"])
        found["eta"] = np.arcsinh(found["pz"] / found["pt"])
    found["phi"] = wrap_angles(found["phi"])
    momentum = found["pt"] * np.cosh(found["eta"])
    if "E" not in found:
        mass = found.get("mass", 0.0) if mass_gev is None else mass_gev
        found["E"] = np.sqrt(momentum**2 + mass**2)
        found["mass"] = mass + 0 * momentum
    elif "mass" not in found:
        found["mass"] = compute_mass(found["E"], found["pt"], found["eta"])
    return found


def _draw(index: Int[NDArray[Any], " N"], file_hash: int, seed: int) -> Float[NDArray[np.float64], " N"]:
    """Return a number from 0 to 1 for each event, which depends on nothing but the arguments.

    Source: Steele, Lea and Flood, OOPSLA (2014) 453 (the finaliser of SplitMix64).
    """
    mixed: UInt[NDArray[np.uint64], " N"] = index.astype(np.uint64)
    for key in (file_hash, seed):
        mixed = mixed + np.uint64(key % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)) / 2.0**53
