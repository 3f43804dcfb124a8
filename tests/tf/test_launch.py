"""What is told of a node that failed: our own words whole, others in one line."""

import errno

from tfx_retail.ingest.record import DataError
from tfx_retail.launch import cause


def chained(inner: Exception, outer: Exception) -> Exception:
    try:
        raise outer from inner
    except Exception as error:  # noqa: BLE001  # it is what the test is about
        return error


def test_our_own_message_is_told_whole_from_under_what_wrapped_it() -> None:
    inner = DataError("a.jpg: broken\nmend it")
    assert cause(chained(inner, RuntimeError("wrapped"))) == "a.jpg: broken\nmend it"


def test_what_beam_appends_is_left_out() -> None:
    assert cause(DataError("a.jpg: broken [while running 'Read/Map']")) == "a.jpg: broken"


def test_a_foreign_error_is_one_line_with_its_type() -> None:
    assert cause(ValueError("\n shapes do not fit \n at layer 3")) == "ValueError: shapes do not fit"
    assert cause(KeyError()) == "KeyError: no message"


def test_a_full_disk_is_told_as_such_whoever_met_it() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    for error in (full, chained(full, RuntimeError("write failed")), RuntimeError("RESOURCE: ...; No space left on device")):
        assert cause(error).startswith("no space left on the disk")


JAVA = """Pipeline job-1 failed in state FAILED: java.lang.RuntimeException: Error received from SDK harness: Traceback:
  File "shards.py", line 138, in _items
tfx_retail.ingest.record.DataError: p1.jpg: cannot be read
all of them: rejected.csv [while running '_Read-ptransform-7']

\tat org.apache.beam.runners.fnexecution.control"""


def test_our_own_words_are_found_in_what_an_engine_says_of_its_workers() -> None:
    assert cause(RuntimeError(JAVA)) == "p1.jpg: cannot be read\nall of them: rejected.csv"


def test_the_refusal_of_a_worker_is_found_in_what_an_engine_says() -> None:
    refused = "the worker on shelf-2 cannot do this job: it has Python 3.11.2, the submitter 3.10; install it there"
    assert cause(RuntimeError(f"java.lang.RuntimeException: {refused}\n\tat org.apache.beam")) == refused
