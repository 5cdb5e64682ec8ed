"""A query's filter, from its wire form to SQL with bound parameters.

A filter is a JSON object of conditions that must all hold:

    {"team": "ops", "year": {"$gte": 2024}, "source": "https://wiki/*", "$not": {"draft": true}}

* A key names a metadata field, or one of `id`, `uri` (also `source`), `title`, `media_type`,
  `updated_at`. `$and` and `$or` take a list of filters, `$not` takes one.
* A plain value means equals, a list any of its values. A field that holds a list matches if one
  of its items does. `null` is equal to null and to a missing field.
* `uri` values: `*` stands for any characters, and a value that ends in `/` is a prefix.
* `updated_at` takes Unix seconds or ISO 8601; without a time it means that whole day, without
  a zone UTC.
* Values of different kinds are never equal and never ordered: 1 is neither "1" nor true.
* `$ne` and `$nin` are the negations of `$eq` and `$in`, so they match a missing field.
"""

from collections.abc import Mapping, Sequence

from steelyard.store.filter_fields import Condition, Field, bad_filter, field_named, joined, kind_of

MAX_DEPTH = 12
MAX_VALUES = 1_000
MAX_VALUE_CHARS = 4_096
_COMPARISONS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_OPERATORS = ("$eq", "$ne", "$in", "$nin", *_COMPARISONS, "$exists", "$contains")


def compile_filter(wire: Mapping[str, object]) -> Condition:
    """Return a filter as a condition.

    Raises:
        InputError: the filter is malformed or too large (code `bad_filter`); the message names
            the place.
    """
    counted = _measure(wire, depth=0)
    if counted > MAX_VALUES:
        raise bad_filter(f"A filter holds at most {MAX_VALUES} values, not {counted}")
    return _filter(wire)


def _filter(wire: Mapping[str, object]) -> Condition:
    return joined("AND", [_entry(key, value) for key, value in wire.items()])


def _entry(key: str, value: object) -> Condition:
    if key in ("$and", "$or"):
        parts = [_filter(_mapping(key, item)) for item in _list(key, value)]
        if not parts:
            raise bad_filter(f"{key} needs at least one filter")
        return joined(key[1:].upper(), parts)
    if key == "$not":
        return _filter(_mapping(key, value)).negated()
    if key.startswith("$"):
        raise bad_filter(f"Unknown operator {key!r}; at this place there are $and, $or and $not")
    field = field_named(key)
    if not isinstance(value, Mapping):
        return field.any_of(value if isinstance(value, list | tuple) else [value])
    if not value:
        raise bad_filter(f"The condition on {key!r} is empty")
    return joined("AND", [_operator(key, field, name, value[name]) for name in value])


def _operator(key: str, field: Field, name: str, operand: object) -> Condition:
    if name in ("$eq", "$ne"):
        equal = field.any_of([_scalar(key, operand)])
        return equal if name == "$eq" else equal.negated()
    if name in ("$in", "$nin"):
        among = field.any_of(_list(f"{key}.{name}", operand))
        return among if name == "$in" else among.negated()
    if name in _COMPARISONS:
        return field.compare(_COMPARISONS[name], _scalar(key, operand))
    if name == "$contains":
        return field.contains(_scalar(key, operand))
    if name == "$exists":
        if not isinstance(operand, bool):
            raise bad_filter(f"$exists on {key!r} takes true or false, not {operand!r}")
        return field.exists() if operand else field.exists().negated()
    raise bad_filter(f"Unknown operator {name!r} on {key!r}; there are {', '.join(_OPERATORS)}")


def _scalar(key: str, value: object) -> object:
    kind_of(key, value)
    return value


def _mapping(key: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise bad_filter(f"{key} takes an object, not {value!r}")
    return value


def _list(key: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise bad_filter(f"{key} takes a list, not {value!r}")
    return value


def _measure(value: object, *, depth: int) -> int:
    """Return how many values a filter holds, after checking its depth, keys and strings."""
    if depth > MAX_DEPTH:
        raise bad_filter(f"A filter nests at most {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        for key in value:
            _check_text(key)
        return 1 + sum(_measure(item, depth=depth + 1) for item in value.values())
    if isinstance(value, list | tuple):
        return 1 + sum(_measure(item, depth=depth + 1) for item in value)
    if isinstance(value, str):
        _check_text(value)
    return 1


def _check_text(value: object) -> None:
    if not isinstance(value, str):
        raise bad_filter(f"Key {value!r} is not a string")
    if len(value) > MAX_VALUE_CHARS:
        raise bad_filter(f"A string has {len(value)} characters, more than {MAX_VALUE_CHARS}")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise bad_filter(f"{value!r} holds NUL or invalid Unicode")
