"""A stopwatch adds up its starts."""

import time

from thesis_ml.utils.stopwatch import Stopwatch


def test_stopwatch_stands_still_until_it_is_started() -> None:
    watch = Stopwatch(elapsed_s=2.0)

    time.sleep(0.002)

    assert watch.read_s() == 2.0


def test_stopwatch_goes_on_from_what_it_showed() -> None:
    watch = Stopwatch(elapsed_s=2.0)
    watch.start()
    time.sleep(0.002)
    first = watch.stop()
    time.sleep(0.002)
    stopped = watch.read_s()
    watch.start()

    assert 2.002 <= first == stopped < watch.read_s()
