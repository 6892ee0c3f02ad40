"""TABLE of the attacks of reliability.md 2.2: what is done, what holds, and the tests that show it. `test_attack_ids`
holds it against the tests, each of which names its id; docs/attacks.md is made of it (`python tests/attacks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import attacks_http

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "attacks.md"


@dataclass(frozen=True)
class Attack:
    """One of them."""

    done: str
    holds: str
    tests: tuple[str, ...]
    """`folder/file.py::test`, below tests/."""


_PEERS, _REQUESTS = "network/test_hostile_peers.py", "network/test_hostile_requests.py"
_OBJECTS, _FLOODS, _CROWDS = "e2e/test_hostile_objects.py", "e2e/test_floods.py", "e2e/test_crowds.py"
_ATTACKS, _DECODERS = "dimse/test_dimse_attacks.py", "decoding/test_decoders.py"

DIMSE: Mapping[str, Attack] = {
    "D1": Attack(
        "500 connections that say nothing",
        "Each is closed at its deadline (10 s), the oldest of an address at its cap; a known modality associates, and "
        "keeps more than half of its rate; memory is back within 5 s",
        (
            f"{_PEERS}::test_d1_silent_connections_are_closed_and_hold_nobody_up",
            f"{_PEERS}::test_d1_over_the_cap_the_oldest_silent_connection_of_that_address_goes",
            f"{_CROWDS}::test_a_known_modality_keeps_more_than_half_of_its_rate",
            f"{_FLOODS}::test_a_modality_amid_a_flood",
        ),
    ),
    "D2": Attack(
        "A byte each second within a PDU",
        "The deadline of a PDU does not move (30 s), then A-ABORT",
        (
            f"{_PEERS}::test_d2_the_deadline_of_a_pdu_does_not_move",
            f"{_PEERS}::test_d2_the_request_itself_has_a_deadline",
            f"{_CROWDS}::test_a_known_modality_keeps_more_than_half_of_its_rate",
        ),
    ),
    "D3": Attack(
        "Silence on the port for TLS",
        "Others associate within 1.2 s; the handshake has a deadline",
        (
            "network/test_tls_connections.py::"
            "test_d3_silent_and_slow_connections_to_the_port_for_tls_keep_nobody_waiting",
            f"{_CROWDS}::test_a_known_modality_keeps_more_than_half_of_its_rate",
        ),
    ),
    "D4": Attack(
        "PDUs of 4 GiB, or over 1 MiB before an association",
        "Refused at the 6 bytes of their header, less than 1 MiB allocated",
        (
            f"{_PEERS}::test_d4_a_long_pdu_before_the_association_is_refused_at_its_header",
            f"{_FLOODS}::test_a_modality_amid_a_flood",
        ),
    ),
    "D5": Attack(
        "P-DATA longer than agreed",
        "A-ABORT (invalid PDU parameter), nothing stored",
        (f"{_PEERS}::test_d5_p_data_longer_than_agreed", f"{_PEERS}::test_d5_p_data_as_long_as_agreed"),
    ),
    "D6": Attack(
        "Messages that never end, command sets over 64 KiB",
        "A-ABORT at limits.maximum_object_bytes, or at 64 KiB; the spool is empty",
        (
            f"{_PEERS}::test_d6_a_data_set_that_never_ends",
            f"{_PEERS}::test_d6_a_command_set_of_more_than_64_kib",
            f"{_PEERS}::test_d6_fragments_without_bytes_do_not_hold_a_message_up_for_ever",
        ),
    ),
    "D7": Attack(
        "PDVs that do not fit, unknown PDUs, HTTP and TLS on the DICOM port",
        "A-ABORT at once, and the next association is served",
        (
            f"{_PEERS}::test_d7_a_pdv_that_does_not_fit",
            f"{_PEERS}::test_d7_unknown_pdu_types_and_other_protocols",
            f"{_PEERS}::test_d7_known_pdus_out_of_turn",
            f"{_PEERS}::test_d7_messages_out_of_order",
            "e2e/test_bad_input.py::test_garbage_on_the_dicom_port",
        ),
    ),
    "D8": Attack(
        "A-ASSOCIATE-RQs that break the rules, or are as long as can be",
        "Rejected or accepted as PS3.8 says, in bounded memory",
        (
            f"{_REQUESTS}::test_d8_requests_that_break_the_rules",
            f"{_REQUESTS}::test_d8_odd_requests_that_are_served",
            f"{_REQUESTS}::test_d8_more_transfer_syntaxes_than_anyone_has",
            f"{_FLOODS}::test_a_modality_amid_a_flood",
        ),
    ),
    "D9": Attack(
        "More associations than are allowed",
        "A-ASSOCIATE-RJ (transient, local limit) at once; the others go on",
        (f"{_REQUESTS}::test_d9_associations_over_the_limit_are_rejected_at_once",),
    ),
    "D10": Attack(
        "Wrong and odd AE titles",
        "Rejected for good, logged escaped, in no path",
        (
            f"{_REQUESTS}::test_d10_strange_calling_ae_titles_reach_the_policy",
            f"{_REQUESTS}::test_d10_the_wrong_called_ae_title",
        ),
    ),
    "D11": Attack(
        "A cut in the middle of C-STORE",
        "Nothing is visible, the spool is empty, the next association is served",
        (
            f"{_REQUESTS}::test_d11_a_cut_in_the_middle_of_an_object",
            f"{_REQUESTS}::test_d11_an_abort_between_the_pdus_of_an_object",
            "services/test_ingest.py::test_leaving_early_leaves_nothing",
        ),
    ),
    "D12": Attack(
        "C-MOVE to an address, or to a title that is not configured",
        "A801, and nobody is called",
        (
            f"{_ATTACKS}::test_d12_a_destination_is_a_configured_title_and_no_address",
            "e2e/test_bad_input.py::test_an_unknown_move_destination",
        ),
    ),
    "D13": Attack(
        "C-FIND for everything, with 100,000 UIDs, SQL, NUL, wildcards without end",
        "Capped with A700; only * and ? are wildcards; the same answers of SQLite and PostgreSQL",
        (
            f"{_ATTACKS}::test_d13_everything_of_everything_is_capped",
            f"{_ATTACKS}::test_d13_a_list_of_a_hundred_thousand_uids",
            f"{_ATTACKS}::test_d13_what_sql_might_carry_out_is_a_value",
            f"{_ATTACKS}::test_d13_nul_and_a_hundred_thousand_wildcards",
            "index/test_hostile_values.py::test_different_ids_are_different_patients",
        ),
    ),
    "D14": Attack(
        "10,000 associations one after the other, released, aborted, cut, refused",
        "The worker grows by less than 10 MB, and by no descriptor or thread",
        ("e2e/test_association_storm.py::test_nothing_grows", f"{_FLOODS}::test_a_modality_amid_a_flood"),
    ),
    "D15": Attack(
        "Storage commitment asked for by an AE title that is not known",
        "Nobody is called; known ones are called again later until they listen",
        (
            "dimse/test_commitment_told.py::test_only_known_ae_titles_are_called",
            "dimse/test_commitment_told.py::test_a_console_that_is_off_is_told_when_it_is_on_again",
        ),
    ),
}

OBJECTS: Mapping[str, Attack] = {
    "O1": Attack(
        "Objects that are cut off anywhere",
        "C000, nothing stored",
        (
            f"{_OBJECTS}::test_o1_what_is_cut_off",
            "services/test_ingest.py::test_refused_objects_leave_nothing",
            "dicom/test_truncation.py::test_an_image_cut_at_any_byte_after_its_description_is_refused",
            "dicom/test_truncation.py::test_a_small_object_cut_at_every_byte",
        ),
    ),
    "O2": Attack(
        "50,000 nested sequences, a million empty items, JSON and XML nested 3,000 deep",
        "Refused at depth 64, in less than 0.1 s of processor time; items in bounded memory",
        (
            f"{_OBJECTS}::test_o2_nested_sequences",
            f"{_OBJECTS}::test_o2_a_million_empty_items",
            "dicom/test_structure.py::test_a_depth_bomb_is_refused_at_once",
            "e2e/test_bad_input.py::test_bodies_that_cannot_be",
        ),
    ),
    "O3": Attack(
        "Deflated bombs: a data set, a frame, a body",
        "Inflated no further than allowed (200 times, once over 32 MB; a frame to its length); coded bodies are 415",
        (
            f"{_OBJECTS}::test_o3_a_deflated_bomb",
            f"{_OBJECTS}::test_o3_a_deflated_frame",
            f"{_OBJECTS}::test_o3_a_body_in_a_coding",
            "dicom/test_inflate.py::test_a_bomb_is_stopped_early_and_in_bounded_memory",
            "web/test_stow.py::test_content_codings_are_refused_by_name",
        ),
    ),
    "O4": Attack(
        "Pictures that claim any size, are garbage, or take for ever to decode",
        "Stored; 406 when rendered. Compressed frames are decoded in processes of their own, with few rights, bounded "
        "memory and processor time, which end over a bad frame; the workers live",
        (
            "e2e/test_pictures_that_are_none.py::test_o4_pictures_that_are_none",
            "e2e/test_pictures_that_are_none.py::test_o4_rows_as_ul",
            "e2e/test_pictures_that_are_none.py::test_o4_a_palette_shorter_than_its_indices",
            "e2e/test_pictures_that_are_none.py::test_o4_bombs_beside_good_pictures",
            f"{_DECODERS}::test_a_bomb_of_time_costs_so_much_and_no_more",
            f"{_DECODERS}::test_a_frame_that_takes_more_memory_than_is_allowed",
            f"{_DECODERS}::test_a_decoder_has_few_rights",
            f"{_DECODERS}::test_who_hangs_is_ended",
            "decoding/test_lying_decoders.py::test_no_answer_is_believed_that_cannot_be",
            "dicom/test_decoder_mutations.py::test_a_decoder_survives_damaged_frames",
            f"{_FLOODS}::test_a_modality_while_bombs_are_rendered",
        ),
    ),
    "O5": Attack(
        "Files that are programs, scripts or PDF as well, by their preamble",
        "storage.preamble: zeroed, TIFF kept, or refused; from DICM on every byte is kept",
        (
            "services/test_preambles.py::test_o5_what_becomes_of_a_preamble",
            "services/test_ingest.py::test_file_meta_information_is_kept_and_the_preamble_is_not",
            "web/test_store_and_fetch.py::test_the_data_set_keeps_its_bytes_whatever_the_preamble",
            f"{_OBJECTS}::test_preambles_are_logged_by_kind",
        ),
    ),
    "O6": Attack(
        "UIDs that are paths, too long, or no UIDs",
        "A900 or C000; no UID is ever in a path",
        (
            f"{_OBJECTS}::test_o6_uids_that_are_none",
            "e2e/test_bad_input.py::test_uids_that_are_paths_by_c_store",
            "e2e/test_bad_input.py::test_uids_that_are_paths_by_stow",
            "e2e/test_bad_input.py::test_urls_that_climb",
        ),
    ),
    "O7": Attack(
        "Tags twice or out of order, group 0002 in the data set, VRs that lie, 20 million values",
        "Strict about structure, lenient about values; in bounded time and memory",
        (
            f"{_OBJECTS}::test_o7_odd_but_whole",
            f"{_OBJECTS}::test_o7_group_2_within_the_data_set",
            f"{_OBJECTS}::test_o7_twenty_million_values",
            "dicom/test_structure.py::test_elements_out_of_order_are_put_in_order_and_the_first_of_two_counts",
        ),
    ),
    "O8": Attack(
        "Character sets that are wrong, broken escapes, NUL, text that runs the other way",
        "Stored; JSON is UTF-8; the same answers of SQLite and PostgreSQL",
        (
            f"{_OBJECTS}::test_o8_characters_that_are_none",
            "dicom/test_charsets.py::test_decoding_never_fails_and_gives_unicode",
            "index/test_hostile_values.py::test_different_ids_are_different_patients",
        ),
    ),
    "O9": Attack(
        "A command that the data set contradicts",
        "A900",
        (
            "services/test_ingest.py::test_a_data_set_that_is_not_what_the_command_said",
            "dimse/test_dimse_store.py::test_another_sop_instance_uid_than_the_command_s",
            "dimse/test_dimse_store.py::test_another_sop_class_than_the_context_s",
        ),
    ),
    "O10": Attack(
        "One UID twenty times at once, with other bytes, in another study",
        "One file; 0111, or as the site wants it; studies are never mixed",
        (
            "services/test_ingest.py::test_twenty_at_once_make_one",
            "services/test_ingest.py::test_other_content_under_the_same_uid_is_kept_out",
            "services/test_ingest.py::test_a_series_of_another_study_is_kept_out",
        ),
    ),
    "O11": Attack(
        "HTML and scripts in values, in encapsulated documents",
        "Values are data; documents are attachments, not sniffed, in a sandbox",
        (
            f"{_OBJECTS}::test_o11_and_o12_values_are_never_carried_out",
            "web/test_protections.py::test_a_document_is_a_file_to_be_saved",
            "web/test_protections.py::test_a_report_shows_what_a_stranger_wrote_and_runs_none_of_it",
        ),
    ),
    "O12": Attack(
        "Formulas and line ends in values",
        "No value is in a header; log lines are escaped. There is no export as CSV",
        (f"{_OBJECTS}::test_o11_and_o12_values_are_never_carried_out",),
    ),
}

HTTP = {number: Attack(*row) for number, row in attacks_http.HTTP.items()}

ATTACKS: Mapping[str, Attack] = {**DIMSE, **OBJECTS, **HTTP}


def page() -> str:
    """docs/attacks.md."""
    lines = [
        "# Attacks, and the tests that hold against them",
        "",
        "Each line is a test of every run (`make test`). The page is made of `tests/attacks.py`.",
        "",
        "| | What is done | What holds | Tests |",
        "|---|---|---|---|",
    ]
    for number, one in ATTACKS.items():
        tests = "<br>".join(f"`{test}`" for test in one.tests)
        lines.append(f"| {number} | {one.done} | {one.holds} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
