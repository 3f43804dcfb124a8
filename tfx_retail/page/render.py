"""Values to one HTML file: templates, style and script inlined, and a policy that lets nothing else in."""

import base64
import hashlib
import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from tfx_retail.page import answers, data, gallery, head, lineage, markdown, training
from tfx_retail.page import picked as picking
from tfx_retail.page.answers import Answers
from tfx_retail.page.collect import Collected
from tfx_retail.page.data import Data
from tfx_retail.page.gallery import Gallery
from tfx_retail.page.head import Head
from tfx_retail.page.lineage import Lineage
from tfx_retail.page.training import Training

_LOADER = PackageLoader("tfx_retail.page")
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Page(Struct, frozen=True, kw_only=True):
    """All sections of a run's page."""

    head: Head
    answers: Answers
    data: Data | None
    training: Training | None
    gallery: Gallery | None
    lineage: Lineage
    card: Markup
    missing: list[str]


def page(given: Collected) -> Page:
    """Returns the sections of a run."""
    picked = picking.pick(given)
    return Page(
        head=head.build(given),
        answers=answers.build(given, picked),
        data=data.build(given),
        training=training.build(given),
        gallery=gallery.build(given, picked),
        lineage=lineage.build(given),
        card=markdown.html(given.card),
        missing=given.missing,
    )


def html(template: str, **values: Any) -> str:
    """Returns a template with its values, as a whole HTML document without outside parts."""
    environment, style, script = _environment(), _source("page.css"), _source("page.js")
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(style=style, script=script, policy=policy, **values)


@cache  # it keeps the compiled templates: a run writes several pages
def _environment() -> Environment:
    environment = Environment(loader=_LOADER, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"json": _json, "coded": markdown.coded}
    return environment


def _source(name: str) -> str:
    return _LOADER.get_source(_environment(), name)[0]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> Markup:
    """Returns JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup("".join(_UNSAFE.get(character, character) for character in text))  # noqa: S704  # escaped above
