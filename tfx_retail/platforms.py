"""The two platforms that this code runs on, and all that it has to know of their differences.

TFX 1.16 with Python 3.10 runs on any glibc, TFX 1.21 with Python 3.11 to 3.13 needs glibc 2.39 (`tools/setup.sh` chooses). Each piece here
has its reason and its end: with the last machine whose glibc is older, Debian 12's, support of which ends on 2028-06-30, the old platform
goes, and with it this module but for `tfx_version`. Differences that are not in the code (warnings, pins) are in docs/platforms.md.
"""

import re
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(.\d\d(:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?)?([+-]\d\d:\d\d|Z)?)?")


@cache
def tfx_version() -> str:
    """Returns the version of TFX, which stands for all that it pins: TensorFlow, Keras, Beam; empty where it is not installed.

    What one platform made is not taken from the cache on the other, and a scheduler's run ends on the one that began it: nobody tests
    their mixtures. Until: stays, it serves each coming version as well.
    """
    try:
        return version("tfx")
    except PackageNotFoundError:
        return ""


def moment(text: str) -> datetime:
    """Returns a date, or date and time, that is written as Python 3.10 reads it, or with a Z for UTC.

    From 3.11 on Python also takes `20240517` or `2024-W20`; data that is read on one platform must be read alike on the other. Until: the
    old platform goes; then it is `datetime.fromisoformat`.

    Raises:
      ValueError: the text is in no such form, or no such day exists.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is not a date in ISO 8601")
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
