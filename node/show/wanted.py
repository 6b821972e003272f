"""What is looked for in the worklist. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from node.show import terms
from node.show.line import arrived_key
from node.show.terms import Range


@dataclass(frozen=True, slots=True)
class Wanted:
    """Without anything, every study. ``since`` is when it was received, ``text`` the beginnings of words."""

    modality: str | None = None
    outcome: str | None = None
    model: str | None = None
    since: datetime | None = None
    unassessed: bool = False
    text: str = ""

    def ranges(self) -> list[Range]:
        """Of each of which a line must have a term. A text without a word in it is no condition."""
        found = []
        if self.model is not None and self.outcome is not None:
            found.append(terms.of_model(self.model, self.outcome))
        elif self.model is not None:
            found.append(terms.term(terms.MODEL, self.model))
        elif self.outcome is not None:
            found.append(terms.term(terms.OUTCOME, self.outcome))
        if self.modality is not None:
            found.append(terms.term(terms.MODALITY, self.modality))
        if self.unassessed:
            found.append(terms.term(terms.UNASSESSED))
        return [Range(one) for one in found] + terms.asked(self.text)

    def fits(self, found: frozenset[str], arrived: str) -> bool:
        """Whether a line with these terms is wanted, as the database says it too."""
        if self.since is not None and arrived >= arrived_key(self.since):
            return False
        return all(any(wanted.holds(one) for one in found) for wanted in self.ranges())
