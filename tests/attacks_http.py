"""The rows H1 to H20 of `attacks`: what is done, what holds, and the tests that show it."""

from __future__ import annotations

from collections.abc import Mapping

_RUNNING, _FLOODS, _CANARY = "e2e/test_http_attacks.py", "e2e/test_http_floods.py", "e2e/test_canary.py"
_DEADLINES, _URLS, _IDENTITY = (
    "web/test_http_deadlines.py",
    "web/test_hostile_urls.py",
    "security/test_identity.py",
)

HTTP: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "H1": (
        "Silence; slow heads, bodies and readers; crowds and floods",
        "A head has 10 s; a body 60 s without progress, or a least speed of 1 kB/s; a reader that takes nothing 60 s. "
        "Known modalities keep more than half of their rate; memory and sockets are back within 5 s",
        (
            f"{_DEADLINES}::test_h1_a_head_that_drips",
            f"{_DEADLINES}::test_h1_a_body_that_drips",
            f"{_DEADLINES}::test_h1_a_body_that_drips_after_its_answer",
            f"{_DEADLINES}::test_h1_what_has_come_of_a_slow_body_is_not_kept_in_memory",
            f"{_DEADLINES}::test_h1_silent_connections_make_room_the_longest_silent_first",
            f"{_FLOODS}::test_h1_a_modality_keeps_more_than_half_of_its_rate",
            f"{_FLOODS}::test_h1_a_viewer_keeps_its_place",
            f"{_FLOODS}::test_h1_five_hundred_cost_little_memory_and_give_it_back",
            f"{_FLOODS}::test_h1_readers_that_stall_keep_little_memory",
        ),
    ),
    "H2": (
        "Lengths of 4 GiB, below zero, two of them; heads of 1 MiB",
        "400, 413 or 431; nothing is allocated from a number",
        (f"{_RUNNING}::test_h2_lengths_are_no_orders",),
    ),
    "H3": (
        "Multipart without boundary, with 10^6 parts, 10^5 headers, 100 MB around the parts, cut off",
        "4xx in linear time; good parts keep their own fate",
        (
            f"{_RUNNING}::test_h3_multipart",
            f"{_RUNNING}::test_h3_good_parts_among_bad_ones_keep_their_fate",
        ),
    ),
    "H4": (
        "XML with DOCTYPE, external entities, a billion laughs, XInclude, other encodings",
        "4xx at the DOCTYPE; nothing is fetched",
        (f"{_RUNNING}::test_h4_xml",),
    ),
    "H5": (
        "JSON with NaN, 10,000 digits, 50,000 levels, 100 MB values",
        "4xx, never 500",
        (f"{_RUNNING}::test_h5_json",),
    ),
    "H6": (
        "Bulk data at http, file, gopher and metadata addresses",
        "Only parts of the same request count; nothing is fetched",
        (f"{_RUNNING}::test_h6_bulk_data_elsewhere",),
    ),
    "H7": (
        "Subscriptions that name addresses",
        "AE titles only; nobody is called at an address of the request",
        (f"{_RUNNING}::test_h7_nobody_is_told_at_an_address_of_the_request",),
    ),
    "H8": (
        "Tokens that say where their key is",
        "Ignored: keys and issuer are those of the settings",
        (f"{_IDENTITY}::test_h8_where_a_token_says_its_key_is_nobody_looks",),
    ),
    "H9": (
        "Tokens unsigned, with another algorithm, expired, for others, of 70 kB",
        "Refused",
        (f"{_IDENTITY}::test_no_other_token",),
    ),
    "H10": (
        "Paths and Host names in other spellings",
        "The same decision, or 400 and 404",
        (
            f"{_URLS}::test_h10_another_spelling_opens_no_door",
            f"{_URLS}::test_h10_another_spelling_deletes_nothing",
            "test_dependencies.py::test_no_form_of_starlette_is_read",
        ),
    ),
    "H11": (
        "Searches with odd numbers, thousands of keys, floods of wildcards, SQL",
        "400 or capped; 503 after `limits.search_seconds`",
        (
            f"{_RUNNING}::test_h11_searches",
            "index/test_time_limit.py::test_h11_what_never_ends_is_ended",
            "index/test_time_limit.py::test_h11_a_flood_of_wildcards_takes_no_time",
            "web/test_search_seconds.py::test_h11_a_search_that_does_not_end_is_503",
        ),
    ),
    "H12": (
        "10,000 ranges, or up to 2^63",
        "416 or the whole, in linear time",
        (f"{_RUNNING}::test_h12_ranges",),
    ),
    "H13": ("Accept headers of 60 kB", "Linear time", (f"{_RUNNING}::test_h13_accept",)),
    "H14": (
        "Asking for what belongs to others",
        "Every route asks for a right, and every role is refused what it has none to; administration tells nobody what "
        "there is. Rights to some studies only: not yet",
        (
            "web/test_signed_in.py::test_every_route_and_every_role",
            f"{_URLS}::test_h14_whoever_may_not_administer_learns_nothing_of_what_is_there",
        ),
    ),
    "H15": (
        "Pages of other origins",
        "Nothing with credentials; only listed origins",
        ("web/test_http.py::test_origins",),
    ),
    "H16": (
        "Default credentials, doors open to others",
        "There are none; HTTP for other machines needs a proxy with TLS, and everybody signs in",
        (
            f"{_RUNNING}::test_h16_there_is_no_way_in_to_be_guessed",
            "test_config.py::test_http_for_other_machines_needs_a_proxy",
        ),
    ),
    "H17": (
        "Guessing passwords",
        "Waiting times for each title or name, and address; for codes of a second factor, wherever they come from; "
        "passcodes lock their share",
        (
            f"{_IDENTITY}::test_guessing_has_to_wait",
            "services/test_sign_in.py::test_after_some_failures_one_has_to_wait",
            "services/test_sign_in.py::test_of_many_at_once_few_passwords_are_tried",
            "services/test_second_factors.py::test_codes_are_not_guessed",
            "services/test_shares.py::test_wrong_passcodes_lock_it_whatever_workers_count",
        ),
    ),
    "H18": (
        "Paths in values, in a ZIP",
        "Names are ours",
        (f"{_RUNNING}::test_h18_names_in_a_zip_are_ours",),
    ),
    "H19": (
        "One patient through every door, rightly and wrongly",
        "In the store and the index, and in no log, metric, error or temporary file",
        (
            f"{_CANARY}::test_h19_no_log",
            f"{_CANARY}::test_h19_no_metric",
            f"{_CANARY}::test_h19_no_error",
            f"{_CANARY}::test_h19_no_file_beside_the_store",
        ),
    ),
    "H20": (
        "Line ends and escape sequences in names",
        "Every line of the log is ours; nothing steers a terminal",
        (
            f"{_CANARY}::test_h20_every_line_of_the_log_is_ours",
            f"{_CANARY}::test_h20_what_strangers_are_called_does_not_steer_the_administrators_terminal",
            "supervisor/test_logs.py::test_h20_what_strangers_are_called_steers_no_terminal_and_begins_no_line",
        ),
    ),
}
