"""The scripts: what each is composed of. The head of each says what it may do at the bound."""

from typing import Final

from voltpay.foundation.engines.redis.connect import Script

ACCEPT: Final = Script("refuse_oom", "sequence", "accept")
PUT_IF_NEWER: Final = Script("refuse_oom", "put_if_newer")

CLAIM: Final = Script("refuse_oom", "claim")
CONFIRM: Final = Script("allow_oom", "confirm")
CLOSE_CLAIMS: Final = Script("allow_oom", "close_claims")

APPEND: Final = Script("allow_oom", "sequence", "publish", "append")
BEAT: Final = Script("allow_oom", "beat")
LEAVE: Final = Script("allow_oom", "leave")
FAILED: Final = Script("allow_oom", "failed")
TAKE_OVER: Final = Script("allow_oom", "take_over")
FINISH_SHARED: Final = Script(
    "allow_oom", "sequence", "publish", "forget_failures", "finish_shared"
)
FINISH_ORDERED: Final = Script(
    "allow_oom", "sequence", "publish", "forget_failures", "finish_ordered"
)

ENDS: Final = Script("no_writes", "stream_state", "ends")
BACKLOG_SHARED: Final = Script("no_writes", "stream_state", "backlog_shared")
BACKLOG_ORDERED: Final = Script("no_writes", "stream_state", "backlog_ordered")
PREPARE: Final = Script("allow_oom", "stream_state", "prepare")
TRIM_SHARED: Final = Script("allow_oom", "stream_state", "trim", "trim_shared")
TRIM_ORDERED: Final = Script("allow_oom", "trim", "trim_ordered")
RESET_SHARED: Final = Script("allow_oom", "stream_state", "reset_shared")
RESET_ORDERED: Final = Script("allow_oom", "stream_state", "reset_ordered")
PURGE_SHARED: Final = Script("allow_oom", "stream_state", "purge_shared")
PURGE_ORDERED: Final = Script("allow_oom", "stream_state", "purge_ordered")
WITHOUT_EXPIRY: Final = Script("no_writes", "without_expiry")
UNFINISHED_SHARED: Final = Script("no_writes", "stream_state", "unfinished_shared")
UNFINISHED_ORDERED: Final = Script("no_writes", "stream_state", "unfinished_ordered")
SET_EPOCH: Final = Script("allow_oom", "set_epoch")
