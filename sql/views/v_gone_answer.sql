-- Answers about tracks that are gone, and where they went. One row: an answer that nobody took back, about a track that was
-- split, merged or found anew (track_state), and a track for which it counts now.
-- now_track_id: null where it counts for none: look at what lies in the track's place (frames first_frame_no to last_frame_no
-- of the video) and answer there. Of several answers about one track all are listed, the newest has the largest seq.
SELECT
    a.seq,
    a.annotation_id,
    a.track_id,
    t.state AS track_state,
    t.video_id,
    v.uri,
    t.first_frame_no,
    t.last_frame_no,
    t.first_s,
    t.last_s,
    a.kind,
    a.individual_id,
    i.anim_id,
    u.name AS annotator,
    a.server_time,
    CASE WHEN h.heir_track_id = h.track_id THEN NULL ELSE h.heir_track_id END AS now_track_id,
    CASE
        WHEN h.heir_track_id = h.track_id THEN 0
        WHEN EXISTS (
            SELECT 1 FROM standing_answer AS s WHERE s.annotation_id = a.annotation_id AND s.track_id = h.heir_track_id
        ) THEN 1
        ELSE 0
    END AS effective
FROM answer_heir AS h
INNER JOIN annotation AS a ON a.track_id = h.track_id
INNER JOIN track AS t ON t.track_id = h.track_id
INNER JOIN video AS v ON v.video_id = t.video_id
INNER JOIN app_user AS u ON u.user_id = a.annotator_id
LEFT OUTER JOIN individual AS said ON said.individual_id = a.individual_id
LEFT OUTER JOIN individual AS i ON i.individual_id = COALESCE(said.same_as_id, said.individual_id)
WHERE
    h.until_seq IS NULL
    AND a.kind IN ('identify', 'unknown', 'new_individual', 'not_animal', 'bad_box', 'cannot_tell')
    AND (a.kind <> 'cannot_tell' OR a.lane <> 'is_it')
    AND a.other_track_id IS NULL
    AND NOT EXISTS (SELECT 1 FROM annotation AS r WHERE r.supersedes = a.annotation_id AND r.kind = 'retract')
