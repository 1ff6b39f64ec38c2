-- Who was in one frame with whom. One row: two different individuals in a frame (individual_a < individual_b).
-- joint_probability: both names right, taken as independent. human_reviewed: 1 where a person named both.
-- Tracks that share a video are paired first, then their frames: the work grows with what two animals share, not with all
-- that each of them did.
SELECT
    a.video_id,
    da.frame_no,
    f.time_s,
    v.recorded_at,
    a.individual_id AS individual_a,
    a.anim_id AS anim_id_a,
    a.track_id AS track_a,
    a.probability AS probability_a,
    b.individual_id AS individual_b,
    b.anim_id AS anim_id_b,
    b.track_id AS track_b,
    b.probability AS probability_b,
    a.probability * b.probability AS joint_probability,
    CASE WHEN a.source = 'person' AND b.source = 'person' THEN 1 ELSE 0 END AS human_reviewed
FROM v_named_track AS a
INNER JOIN v_named_track AS b ON b.video_id = a.video_id AND b.individual_id > a.individual_id
INNER JOIN detection AS da ON da.track_id = a.track_id
INNER JOIN detection AS db ON db.track_id = b.track_id AND db.frame_no = da.frame_no
INNER JOIN frame AS f ON f.video_id = da.video_id AND f.frame_no = da.frame_no
INNER JOIN video AS v ON v.video_id = a.video_id
