"""Work on another thread: its result, its error, and the word to end."""

import threading

import pytest

from tfx_retail.beside import Beside, Ended, heed


def waits_for_the_word() -> None:
    while True:
        threading.Event().wait(0.001)
        heed()


def test_what_the_work_returns_is_handed_over() -> None:
    assert Beside(lambda: 7).result() == 7


def test_what_the_work_raises_reaches_whoever_asks() -> None:
    work = Beside(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        work.result()


def test_work_that_heeds_the_word_ends() -> None:
    work = Beside(waits_for_the_word)
    work.end()
    assert work.is_over
    with pytest.raises(Ended):
        work.result()


def test_nobody_else_is_told() -> None:
    heed()
    Beside(lambda: None).end()
    heed()
