"""What a store shared by several gateways promises, and the tests that hold it to that.

Those in `suites/postgres` run on a server of their own (`make test-postgres`). What depends on the speed of a
machine is measured instead: `make bench ARGS=nodes`, `make bench ARGS=growth`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT = "src/holdfast/store/contract"
PROMISES: dict[str, Sequence[tuple[str, str]]] = {
    "a new session is one statement, a request of a known one none": (
        ("suites/postgres/test_statements.py", "a_new_session_is_one_statement_and_a_known_one_none"),
        (
            "tests/gateway/test_first_requests.py",
            "a_new_session_is_one_call_of_the_store_and_a_known_one_none",
        ),
    ),
    "two gateways that begin one session agree on its pin": (
        ("suites/postgres/test_many_writers.py", "two_gateways_that_make_one_session_at_once_agree"),
    ),
    "sessions are removed and made again, named twice in a batch, and 501 at once": (
        (f"{CONTRACT}/feed.py", "a_session_that_was_removed_and_made_again_is_told_of"),
        ("tests/engine/test_new_sessions.py", "sessions_that_come_while_one_is_stored_share_a_statement"),
        ("suites/postgres/test_many_writers.py", "new_sessions_are_one_statement_however_many"),
    ),
    "a reader misses none of 10,000 changes": (
        ("suites/postgres/test_many_writers.py", "a_reader_misses_no_change_of_writers_whose_commits"),
    ),
    "a change costs its own rows, however many are stored": (
        ("tests/engine/test_following.py", "what_a_change_costs_does_not_grow_with_what_is_stored"),
    ),
    "a reader that was cut off, and one of an older copy, ends with what the tables hold": (
        ("suites/postgres/test_many_writers.py", "a_reader_that_is_cut_off_again_and_again_ends_with"),
        ("suites/postgres/test_fail_over.py", "a_gateway_goes_on_when_a_standby_takes_over"),
    ),
    "a server that hangs stops new sessions and nothing else": (
        ("suites/postgres/test_gateways_go_on.py", "a_server_that_hangs_stops_new_sessions_and_nothing_else"),
        ("tests/gateway/test_the_store_is_away.py", "a_store_that_hangs_holds_up_no_known_session"),
        ("tests/gateway/test_the_store_is_away.py", "a_gateway_ends_in_time_although_its_store_hangs"),
    ),
    "a server that is gone fails no request of a known session": (
        ("suites/postgres/test_fail_over.py", "a_gateway_goes_on_when_a_standby_takes_over"),
        ("tests/gateway/test_the_store_is_away.py", "readiness_tells_which_requests_would_be_refused"),
    ),
    "a server that is read-only for a while, or another primary, is found again": (
        ("suites/postgres/test_when_the_server_fails.py", "a_connection_that_became_read_only_is_replaced"),
        ("suites/postgres/test_when_the_server_fails.py", "of_several_servers_the_one_that_can_be_written"),
    ),
    "a gateway that is killed loses nothing that was acknowledged": (
        ("suites/postgres/test_gateways_go_on.py", "a_gateway_that_is_killed_loses_no_session"),
        ("tests/store/test_processes.py", "a_process_killed_in_the_middle_leaves_a_whole_store"),
    ),
    "a lease has one holder, and goes by the clock of the database": (
        ("suites/postgres/test_postgres.py", "a_lease_is_held_by_one_process_at_a_time"),
        ("suites/postgres/test_many_writers.py", "a_lease_goes_by_the_clock_of_the_database"),
        (f"{CONTRACT}/leases.py", "a_stale_holder_neither_releases_nor_prolongs_the_next_ones_lease"),
    ),
    "sums of usage are exact": (
        ("suites/postgres/test_many_writers.py", "sums_that_many_writers_add_to_at_once_are_exact"),
        (f"{CONTRACT}/usage.py", "writers_at_once_lose_nothing_and_wait_for_no_other"),
    ),
    "a file is pruned in portions that keep nobody waiting, and shrinks": (
        ("tests/engine/test_upkeep.py", "a_portion_that_takes_long_is_followed_by_smaller_ones"),
        ("tests/engine/test_upkeep.py", "a_file_shrinks_by_what_was_deleted_and_its_log_stays_short"),
    ),
    "a rename is linear, in short transactions": (
        ("tests/store/test_many_sessions.py", "a_rename_changes_no_more_than_a_portion_at_once"),
        ("tests/store/test_many_sessions.py", "others_write_between_the_portions_of_a_rename"),
    ),
    "the same through a pooler": (
        ("suites/postgres/test_through_a_pooler.py", "a_reader_misses_no_change"),
        ("suites/postgres/test_through_a_pooler.py", "sums_that_many_writers_add_to_at_once_are_exact"),
    ),
    "a home with another pepper is refused": (
        ("suites/postgres/test_postgres.py", "a_home_with_another_pepper_is_refused_and_doctor_says_so"),
        ("tests/engine/test_one_pepper.py", "a_home_with_another_pepper_is_refused_until_it_has_the_same"),
    ),
    "a clock that is ahead deletes nothing": (
        ("tests/engine/test_upkeep.py", "a_process_whose_clock_is_200_days_ahead_deletes_nothing"),
    ),
}


def test_every_promise_of_the_store_has_tests_that_exist() -> None:
    missing = [
        f"{promise}: {file}: {name}"
        for promise, tests in PROMISES.items()
        for file, name in tests
        if not re.search(rf"\btest_{name}", (ROOT / file).read_text("utf-8"))
    ]
    assert not missing, "\n".join(missing)
