"""Headers that are read again and again: what is known from the images before is not found out once more.

Both classes give what a walk of each data set gives; ``shapes`` tells where none is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import ne

from node.domain.study import Value
from node.ports import View
from node.receive import header, part10
from node.receive.shapes import MAX_LENGTHS, SHAPES_OF_A_LENGTH, Shape, Shapes
from node.receive.walk import Encoding, RawValue, Walk

LEARNED = Encoding(explicit=True, little=True)


class UidCheck:
    """Looks a data set over before it is acknowledged; one for each process."""

    def __init__(self) -> None:
        self._keywords = {tag: keyword for keyword, tag in header.UID_TAGS.items()}
        self._shapes = Shapes(self._keywords)

    def check(self, view: View, transfer_syntax_uid: str, data_set_offset: int) -> Mapping[str, str]:
        """``header.check``

        Raises:
            UndecodableDataSet: as there.
        """
        encoded = part10.encoded_at(view, view.start + data_set_offset, transfer_syntax_uid)
        place = encoded.data, encoded.start, encoded.end
        learned = encoded.encoding == LEARNED
        shape = self._shapes.of(*place) if learned else None
        if shape is not None:
            values = shape.pick(encoded.data, encoded.start)
            return {
                self._keywords[tag]: header.uid_text(value)
                for (tag, _), value in zip(shape.elements, values, strict=True)
            }
        uids = header.uids_in(encoded)
        if learned:
            self._shapes.learn(*place)
        return uids


@dataclass(slots=True)
class _Before:
    """The last data set of a shape: what was in it, and what that means."""

    values: tuple[bytes, ...]
    codecs: tuple[str, ...]
    attributes: Mapping[str, Value]


class HeaderReader:
    """``wanted`` as ``header.wanted_tags`` gives it. For one thread."""

    def __init__(self, wanted: Mapping[int, str]) -> None:
        self._wanted = wanted
        self._shapes = Shapes(wanted)
        self._before: dict[Shape, _Before] = {}

    def attributes(self, view: View, transfer_syntax_uid: str, data_set_offset: int) -> Mapping[str, Value]:
        """``header.read(...).attributes``

        Raises:
            UndecodableDataSet: as there.
        """
        encoded = part10.encoded_at(view, view.start + data_set_offset, transfer_syntax_uid)
        place = encoded.data, encoded.start, encoded.end
        learned = encoded.encoding == LEARNED
        shape = self._shapes.of(*place) if learned else None
        if shape is not None:
            return self._of_shape(shape, shape.pick(encoded.data, encoded.start))
        found = Walk(*place, encoded.encoding, self._wanted).run()
        if learned:
            self._shapes.learn(*place)
        return header.interpret(found.top, found.groups, self._wanted).attributes

    def _of_shape(self, shape: Shape, values: tuple[bytes, ...]) -> Mapping[str, Value]:
        before = self._before.get(shape)
        attributes = None if before is None else self._changed(shape, values, before)
        if before is None or attributes is None:
            if len(self._before) >= MAX_LENGTHS * SHAPES_OF_A_LENGTH:
                self._before.clear()
            before = self._before[shape] = self._interpreted(shape, values)
            return before.attributes
        before.values, before.attributes = values, attributes
        return attributes

    def _changed(self, shape: Shape, values: tuple[bytes, ...], before: _Before) -> dict[str, Value] | None:
        """None where another character set makes other text of the same bytes."""
        attributes = dict(before.attributes)
        for index, differs in enumerate(map(ne, values, before.values)):
            if not differs:
                continue
            tag, vr = shape.elements[index]
            if tag == header.CHARACTER_SET:
                return None
            value = header.value_of(tag, RawValue(vr, values[index], True), before.codecs)
            if value is None:
                attributes.pop(self._wanted[tag], None)
            else:
                attributes[self._wanted[tag]] = value
        return attributes

    def _interpreted(self, shape: Shape, values: tuple[bytes, ...]) -> _Before:
        top = {tag: RawValue(vr, value, True) for (tag, vr), value in zip(shape.elements, values, strict=True)}
        codecs = header.codecs_of(top[header.CHARACTER_SET].data if header.CHARACTER_SET in top else b"")
        return _Before(values, codecs, header.interpret(top, {}, self._wanted).attributes)
