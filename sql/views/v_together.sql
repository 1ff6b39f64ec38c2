-- Who was in one frame with whom. One row: two different individuals in a frame (individual_a < individual_b).
-- joint_probability: both names right, taken as independent. human_reviewed: 1 where a person named both.
SELECT
    a.video_id,
    a.frame_no,
    a.time_s,
    a.recorded_at,
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
FROM v_frame_identity AS a
INNER JOIN v_frame_identity AS b
    ON b.video_id = a.video_id AND b.frame_no = a.frame_no AND b.individual_id > a.individual_id
