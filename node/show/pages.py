"""Templates rendered for a visitor. Everything that is put into one is escaped."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from node.show import state
from node.show.assets import Assets
from node.show.language import LANGUAGES, Catalogue
from node.show.visitor import LANGUAGE_COOKIE, Visitor

TEMPLATES = Path(__file__).parent / "templates"
A_YEAR_S = 365 * 86400
# What is shown of a text from outside; all of it stands in the title.
CUT = 60


class _Environment(Environment):
    """For many small templates: a hundred rows are a hundred renderings.

    ``row.key`` of a document is looked up as a key first: nearly all that pages show is documents. What every template
    may use is one plain dict: a chain of them is walked anew for each rendering.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        return super().make_globals(d) if d else self.globals

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class Pages:
    """``folders`` are further folders with templates: a page may bring its own."""

    def __init__(self, words: Catalogue, assets: Assets, folders: Sequence[Path] = ()) -> None:
        self._words = words
        self._environment = _Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in (TEMPLATES, *folders)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # templates are part of the installed node: nobody looks whether they have changed
        )
        self._environment.globals.update(asset=assets.url, t=_translate(words))
        self._environment.filters.update(outside=outside, moment=moment, well=_well)

    def text(self, visitor: Visitor, template: str, **context: object) -> Markup:
        """The template ``template`` as HTML; in it are ``visitor`` and ``language``."""
        found = self._environment.get_template(template)
        html = found.render(**context, visitor=visitor, language=visitor.language)
        return Markup(html)  # noqa: S704  rendered: what was put into it is escaped

    def page(
        self, request: Request, visitor: Visitor, template: str, status_code: int = 200, **context: object
    ) -> HTMLResponse:
        """A whole page; a language that the address asks for is remembered."""
        other = next(one for one in LANGUAGES if one != visitor.language)
        rest = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
        in_other = f"{request.url.path}?{urlencode([*rest, ('lang', other)])}"
        here = request.url.path + (f"?{urlencode(rest)}" if rest else "")
        html = self.text(visitor, template, **context, path=request.url.path, here=here, in_other_language=in_other)
        response = HTMLResponse(html, status_code)
        response.headers["Content-Language"] = visitor.language
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, visitor.language, max_age=A_YEAR_S, samesite="strict", httponly=True)
        return response

    def say(self, visitor: Visitor, key: str, **values: object) -> str:
        return self._words.say(visitor.language, key, **values)


def _translate(words: Catalogue) -> object:
    @pass_context
    def t(context: Context, key: str, **values: object) -> str:
        """The words of ``key`` in the visitor's language. They are escaped like everything else."""
        return words.say(context["language"], key, **values)

    return t


@pass_context
def _well(context: Context, reason: str) -> str:
    """Why the node is not well, as ``status`` says it, in the visitor's language."""
    return state.in_chinese(reason) if context["language"] == "zh" else reason


def outside(text: str | None, cut: int = CUT) -> Markup:
    """A text that came from outside: kept apart from what stands around it (its direction may be another), cut.

    Control characters are shown as what they are not: spaces.
    """
    whole = text or ""
    if not whole.isprintable():
        whole = "".join(one if one.isprintable() else " " for one in whole)
    whole = whole.strip()
    if len(whole) <= cut:
        return Markup(f"<bdi>{escape(whole)}</bdi>")  # noqa: S704  escaped; Markup.format takes four times as long
    return Markup(f'<bdi title="{escape(whole)}">{escape(whole[:cut].rstrip())}…</bdi>')  # noqa: S704  the same


def moment(at: datetime | str | None, form: str = "minute") -> Markup:
    """A time, in UTC with its zone; a script of the page shows it in the browser's. ``form``: minute, second or day."""
    if at is None or at == "":
        return Markup("")
    given = datetime.fromisoformat(at) if isinstance(at, str) else at
    when = given.astimezone(UTC)
    shown = {"minute": "%Y-%m-%d %H:%M UTC", "second": "%Y-%m-%d %H:%M:%S UTC", "day": "%Y-%m-%d"}[form]
    machine = when.isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(escape(machine), form, when.strftime(shown))
