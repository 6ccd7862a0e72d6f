"""How many partitions a topic has: as many as the settings say, and few where it is quiet."""

import pytest

from voltpay.foundation.engines.log_errors import UnknownTopic
from voltpay.foundation.engines.topics import QUIET_PARTITIONS, Topics
from voltpay.foundation.seams.log import TopicRow

ROWS = (
    TopicRow("busy", ordered=False, groups=("a",)),
    TopicRow("quiet", ordered=False, groups=("a",), quiet=True),
    TopicRow("quiet and ordered", ordered=True, groups=("a",), quiet=True),
)


@pytest.mark.parametrize("partitions", [1, QUIET_PARTITIONS, 100])
def test_only_a_quiet_shared_topic_has_fewer(partitions: int) -> None:
    topics = Topics(ROWS, partitions)
    assert topics.count_of("busy") == topics.count_of("quiet and ordered") == partitions
    assert topics.count_of("quiet") == min(partitions, QUIET_PARTITIONS)


def test_a_topic_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownTopic):
        Topics(ROWS, 4).count_of("none")
