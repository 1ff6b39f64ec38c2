"""A row or two for every table of every revision: what `test_migrations` brings from each version to this one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

AT = datetime(2013, 5, 6, 22, 30, tzinfo=UTC).replace(tzinfo=None)
# A row or two for every table of the first revision, in an order in which they can be written.
FIRST: dict[str, list[dict[str, Any]]] = {
    "bundle": [{"bundle_id": 1, "bundle_key": "a-0001", "folder": "a", "created_at": AT}],
    "video": [
        {"video_id": i, "bundle_id": 1, "uri": f"a/{i}.mp4", "version": 1, "bytes": 9, "etag": "e", "recorded_at": at,
         "recorded_at_source": source, "site": "a", "camera": "c", "n_frames": n, "duration_s": 2.0, "state": state,
         "discovered_at": AT, "updated_at": AT}
        for i, at, source, n, state in ((1, AT, "container", 3, "tracked"), (2, None, None, 0, "registered"))
    ],
    "frame_shard": [{"shard_id": 4096, "video_id": 1, "uri": "s/1.tar", "bytes": 900, "content_hash": "0" * 64}],
    "frame": [
        {"video_id": 1, "frame_no": n, "pts": n, "time_s": n / 2, "shard_id": 4096, "byte_offset": 9, "byte_length": 9}
        for n in range(3)
    ],
    "split_assignment": [{"video_id": 1, "day_key": "2013-05-07|a|c", "split": "train", "assigned_at": AT}],
    "individual": [
        {"individual_id": 1, "anim_id": "FF", "name": "Fifi", "sex": "F", "provisional": False, "created_at": AT},
        {"individual_id": 2, "anim_id": "FI", "sex": "M", "mom_id": 1, "provisional": True, "created_at": AT},
    ],
    "individual_alias": [{"alias_id": 1, "individual_id": 1, "alias": "Fifi the first"}],
    "community": [{"community_id": 1, "comm_id": "KK", "name": "Kasekela"}],
    "community_membership": [
        {"membership_id": 1, "individual_id": 1, "community_id": 1, "start_date": date(1960, 1, 1)}
    ],
    "app_user": [{"user_id": 1, "name": "anna", "role": "expert", "disabled": False, "created_at": AT}],
    "user_session": [{"session_id": "s", "user_id": 1, "created_at": AT, "expires_at": AT}],
    "audit_event": [{"audit_event_id": 1, "user_id": 1, "action": "user.add", "subject": "anna", "at": AT}],
    "training_set": [
        {"training_set_id": 1, "task": "head", "watermark_seq": 1, "split_seed": 20, "n_tracks": 1, "n_classes": 1,
         "member_uri": "m", "member_hash": "0" * 64, "created_at": AT}
    ],
    "model": [
        {"model_id": i, "task": task, "version": 1, "name": task, "state": "champion", "config": "{}", "created_at": AT,
         "parent_id": parent, "training_set_id": members}
        for i, task, parent, members in ((1, "embedder", None, None), (2, "head", 1, 1), (3, "detector", None, None))
    ],
    "track": [
        {"track_id": 1 << 20, "video_id": 1, "first_frame_no": 1, "last_frame_no": 2, "n_detections": 1, "quality": 0.5,
         "model_id": 3, "state": "live", "parent_track_id": None}
    ],
    "detection": [
        {"video_id": 1, "frame_no": 1, "detection_no": 0, "track_id": 1 << 20, "x": 0.5, "y": 0.5, "w": 0.25,
         "h": 0.25, "score": 0.5}
    ],
    "embedding_file": [
        {"model_id": 1, "bundle_id": 1, "uri": "e", "content_hash": "0" * 64, "n_tracks": 1, "created_at": AT}
    ],
    "prediction": [{"model_id": 2, "track_id": 1 << 20, "rank": 1, "individual_id": 1, "probability": 0.75}],
    "track_score": [
        {"model_id": 2, "track_id": 1 << 20, "margin": 0.5, "max_logit": 2.0, "novelty": 0.25, "entropy": 0.5,
         "is_unknown": False}
    ],
    "acquisition_round": [
        {"round_id": 1, "policy": "{}", "seed": 1, "embedder_model_id": 1, "watermark_seq": 0, "n_pool": 1,
         "created_at": AT}
    ],
    "acquisition_queue": [
        {"item_id": 1, "round_id": 1, "track_id": 1 << 20, "lane": "audit", "position": 0, "propensity": 0.5,
         "reason": "r", "state": "answered"}
    ],
    "annotation": [
        {"annotation_id": "a", "seq": 1, "kind": "identify", "track_id": 1 << 20, "individual_id": 1, "annotator_id": 1,
         "lane": "audit", "item_id": 1, "server_time": AT, "fingerprint": b"x" * 32, "note": "ünï ☂",
         "shown": '{"mode": "gallery","flag":true,"conflict":"b"}'},
        {"annotation_id": "b", "seq": 2, "kind": "skip", "track_id": 1 << 20, "annotator_id": 1, "lane": "free",
         "server_time": AT, "fingerprint": b"y" * 32, "shown": '{"mode":"\\u0000","flag":"yes","conflict":7}'},
        {"annotation_id": "c", "seq": 3, "kind": "skip", "track_id": 1 << 20, "annotator_id": 1, "lane": "free",
         "server_time": AT, "fingerprint": b"z" * 32, "shown": '["flag",true]'},
    ],
    "evaluation_metric": [
        {"metric_id": 1, "model_id": 2, "dataset": "audit", "watermark_seq": 1, "slice_kind": "all", "slice_value": "",
         "name": "top1", "value": 0.5, "n": 4, "created_at": AT}
    ],
}  # fmt: skip
# What the second revision added, in the same way.
SECOND: dict[str, list[dict[str, Any]]] = {
    "bundle_score": [{"model_id": 2, "bundle_id": 1, "n_tracks": 1, "created_at": AT}],
    "video": [
        {"video_id": 3, "bundle_id": 1, "uri": "a/3.mp4", "version": 1, "bytes": 9, "etag": "e", "state": "retired",
         "discovered_at": AT, "updated_at": AT, "duplicate_of_video_id": 1, "note": "n", "decode_s": 0.5, "n_frames": 0}
    ],
}  # fmt: skip
# What the third added: tables, and columns of rows that are above.
THIRD: dict[str, list[dict[str, Any]]] = {
    "bulk_chunk": [{"run_key": "r", "chunk_no": 0, "table_name": "frame", "n_rows": 3, "written_at": AT}],
    "deployment": [{"deployment_id": 1, "site": "a", "camera": "c", "start_date": date(2013, 1, 1)}],
    "sampling_gap": [
        {"gap_id": 1, "start_date": date(2013, 1, 1), "end_date": date(2013, 1, 2), "reason": "flood"}
    ],
    "individual_merge": [
        {"merge_id": 1, "kind": "merge", "individual_id": 2, "into_individual_id": 1, "at": AT},
        {"merge_id": 2, "kind": "undo", "individual_id": 2, "into_individual_id": 1, "undoes_merge_id": 1, "at": AT},
    ],
    "biography_log": [{"log_id": 1, "individual_id": 1, "made_at": AT, "description": "named"}],
}  # fmt: skip
FOURTH: dict[str, list[dict[str, Any]]] = {
    "unknown_track": [{"model_id": 2, "track_id": 1 << 20, "cluster_no": 1, "likeness": 0.5}],
}
SEVENTH: dict[str, list[dict[str, Any]]] = {
    "oidc_identity": [{"tid": "t", "oid": "o", "user_id": 1, "created_at": AT}],
    "item_media": [
        {"track_id": 1 << 20, "kind": "crop", "place": 0, "content_hash": "0" * 64, "uri": "i", "bytes": 9,
         "created_at": AT}
    ],
    "reference_photo": [{"individual_id": 1, "place": 0, "track_id": 1 << 20, "chosen_at": AT}],
    "quality_check": [
        {"check_id": 1, "kind": "gold", "user_id": 1, "track_id": 1 << 20, "individual_id": 1, "asked_at": AT}
    ],
}  # fmt: skip
# What the eighth keeps beside the events.
EIGHTH: dict[str, list[dict[str, Any]]] = {
    "standing_answer": [
        {"track_id": 1 << 20, "annotation_id": "a", "seq": 1, "kind": "identify", "individual_id": 1, "lane": "audit",
         "annotator_id": 1}
    ],
}  # fmt: skip
# What people said of clocks and cameras, and what a listing passed over.
NINTH: dict[str, list[dict[str, Any]]] = {
    "time_correction": [{"correction_id": 1, "camera": "C1", "offset_s": 3600, "user_id": 1, "made_at": AT}],
    "video_time": [{"video_id": 1, "witness": "container", "correction_id": 1}],
    "time_rules": [{"time_rules_id": 1, "rules": "{}", "applied_at": AT}],
    "split_move": [
        {"split_move_id": 1, "video_id": 1, "day_key_before": "2013-05-06|S|C1", "split_before": "test", "moved_at": AT}
    ],
}
TENTH: dict[str, list[dict[str, Any]]] = {
    "camera_name": [
        {"camera_name_id": 1, "site_key": "s", "camera_key": "c1", "site": "S", "camera": "C1", "first_seen_at": AT}
    ],
    "camera_mapping": [
        {"mapping_id": 1, "kind": "camera", "from_camera": "C01", "camera": "C1", "user_id": 1, "at": AT}
    ],
    "passed_over": [{"passed_over_id": 1, "reason": "name", "path": "a", "detail": "odd", "first_seen_at": AT}],
    "passed_over_count": [{"reason": "not_video", "ending": ".txt", "n": 1, "n_so_far": 0}],
}
# What all hosts share.
FIFTEENTH: dict[str, list[dict[str, Any]]] = {
    "shared_setting": [{"name": "decode.fps", "value": "5.0", "host": "a", "set_at": AT}],
}
SIXTEENTH: dict[str, list[dict[str, Any]]] = {
    "sign_in_failure": [{"key_hash": "a", "failures": 2, "last_at": AT}],
    "oidc_answer": [{"answer_hash": "a", "taken_at": AT}],
}
# What was seen to change, and who was told.
SEVENTEENTH: dict[str, list[dict[str, Any]]] = {
    "video_signal": [
        {"video_id": 1, "pictures": 3, "brightness": 90.0, "contrast": 20.0, "sharpness": 5.0, "colourfulness": 30.0,
         "infrared": 0.0, "background": b"x" * 2304}
    ],
    "drift_block": [
        {"block_id": 1, "camera": "S/C1", "day": date(2013, 5, 7), "signal": "brightness", "model_id": 0, "n": 1,
         "value": 90.0, "light": "day", "updated_at": AT}
    ],
    "drift_alert": [
        {"alert_id": 1, "alert_key": "k", "kind": "data", "signal": "brightness", "camera": "S/C1",
         "since": date(2013, 5, 7), "noticed": date(2013, 5, 8), "detail": "{}", "state": "open", "opened_at": AT}
    ],
    "alert_message": [
        {"alert_id": 1, "channel": "mail", "message_key": "m", "attempts": 1, "attempted_at": AT, "sent_at": AT}
    ],
    "fairness_metric": [
        {"fairness_id": 1, "model_id": 2, "watermark_seq": 1, "slice_kind": "sex", "slice_value": "F", "name": "recall",
         "value": 0.5, "n": 4, "blocks": 2, "state": "too_few", "created_at": AT}
    ],
}  # fmt: skip
# Pictures, tracks that took the place of others, files that were taken in.
EIGHTEENTH: dict[str, list[dict[str, Any]]] = {
    "picture_fact": [{"video_id": 1, "taken": "2013-05-06T22:30:00", "make": "m"}],
    "track": [
        {"track_id": (1 << 20) + 1, "video_id": 1, "first_frame_no": 1, "last_frame_no": 2, "first_s": 0.5,
         "last_s": 1.0, "n_detections": 1, "quality": 0.5, "model_id": 3, "state": "replaced", "parent_track_id": None}
    ],
    "track_heir": [
        {"track_id": (1 << 20) + 1, "heir_track_id": 1 << 20, "cause": "retrack", "share": 0.5, "carries": True,
         "made_at": AT, "from_seq": 1}
    ],
    "answer_heir": [{"track_id": (1 << 20) + 1, "heir_track_id": 1 << 20, "from_seq": 1}],
    "video_retracking": [
        {"video_id": 1, "model_id": 3, "n_followed": 1, "n_kept": 0, "n_unfollowed": 0, "made_at": AT}
    ],
    "import_file": [
        {"import_id": 1, "format": "csv", "name": "a.csv", "content_hash": "0" * 64, "options": "{}", "report": "{}",
         "imported_at": AT}
    ],
    "imported_track": [{"import_id": 1, "medium_no": 0, "source_id": "1", "track_id": 1 << 20}],
    "proposal_file": [
        {"bundle_id": 1, "import_id": 1, "uri": "p", "content_hash": "0" * 64, "n_videos": 1, "created_at": AT}
    ],
}  # fmt: skip
# What the nineteenth knows of the expert's minutes.
NINETEENTH: dict[str, list[dict[str, Any]]] = {
    "track_evidence": [
        {"track_id": 1 << 20, "individual_id": 1, "n_yes": 2, "n_no": 0, "state": "agreed", "probability": 0.75,
         "seq": 1}
    ],
    "denied_prediction": [{"model_id": 2, "track_id": 1 << 20, "individual_id": 1, "rank": 1, "probability": 0.5}],
    "grid_page": [
        {"page_id": 1, "individual_id": 1, "head_model_id": 2, "position": 0, "propensity": 1.0, "reason": "r",
         "state": "pending", "created_at": AT}
    ],
    "grid_member": [{"page_id": 1, "track_id": 1 << 20, "position": 0, "probability": 0.75}],
    "promise": [{"promise_id": 1, "error": 0.05, "named": 0.9, "confidence": 0.95, "created_at": AT}],
    "promise_look": [
        {"look_id": 1, "promise_id": 1, "look_no": 1, "alpha": 0.025, "head_model_id": 2, "threshold": 0.8,
         "tested_share": 0.5, "named_share": 0.9, "expected_error": 0.03, "n_tracks": 9, "n_frames": 90, "seed": 20,
         "watermark_seq": 1, "merge_watermark": 0, "state": "auditing", "n_answered": 0, "n_wrong": 0, "wealth": 1.0,
         "frozen_at": AT}
    ],
    "promise_draw": [{"look_id": 1, "draw_no": 0, "track_id": 1 << 20, "individual_id": 1, "source": "model"}],
    "archive_forecast": [
        {"forecast_id": 1, "watermark_seq": 1, "head_model_id": 2, "goal_named": 0.9, "goal_error": 0.05, "n_tracks": 9,
         "n_frames": 90, "by_person": 0.2, "by_page": 0.1, "by_machine": 0.3, "nameless": 0.0, "expected_error": 0.03,
         "spent_s": 60.0, "created_at": AT}
    ],
}  # fmt: skip
# What the twentieth hands to science.
TWENTIETH: dict[str, list[dict[str, Any]]] = {
    "association_edge": [
        {"group_rule": "video", "period_kind": "all", "period": "all", "individual_a": 1, "individual_b": 2, "x": 1,
         "n": 2, "sri": 0.5, "watermark_seq": 1, "counted_at": AT}
    ],
    "imported_table": [
        {"name": "rain", "file_name": "rain.csv", "content_hash": "0" * 64, "n_rows": 0, "imported_at": AT}
    ],
    "imported_column": [
        {"name": "rain", "column_name": "day", "position": 0, "header": "Day", "kind": "date", "joins": "day"}
    ],
}  # fmt: skip
WRITTEN = (FIRST, SECOND, THIRD, FOURTH, {}, {}, SEVENTH, EIGHTH, NINTH, TENTH, {}, {}, {}, FIFTEENTH, SIXTEENTH,
           SEVENTEENTH, EIGHTEENTH, NINETEENTH, TWENTIETH)  # fmt: skip
"""The rows of each revision; later ones add no table, or fill the one that they add."""
SINCE_THIRD: dict[tuple[str, Any], dict[str, Any]] = {
    ("track", 1 << 20): {"first_s": 0.5, "last_s": 1.0},
    ("video", 1): {"recorded_on": date(2013, 5, 7), "frame_s": 0.5},
}
SINCE_FOURTEENTH: dict[tuple[str, Any], dict[str, Any]] = {
    ("annotation", "a"): {"shown_mode": "gallery", "shown_flag": True, "shown_conflict": "b"},
}
