-- When were two individuals in one video within some seconds of each other, in one frame or one after the other?
-- Most certain first. One row: a track of the one and a track of the other.
--
-- Parameters: one, other (AnimIDs), seconds (0: visible at the same time), limit (so many rows).
--
-- A track counts as visible from its first to its last box. gap_s is 0 where the two overlap.
SELECT
    near.place,
    near.joint_probability,
    near.human_reviewed,
    near.gap_s,
    near.uri,
    near.site,
    near.camera,
    near.recorded_at,
    near.video_id,
    near.track_one,
    near.first_s_one,
    near.last_s_one,
    near.track_other,
    near.first_s_other,
    near.last_s_other
FROM (
    SELECT
        spans.*,
        ROW_NUMBER() OVER (
            ORDER BY spans.joint_probability DESC, spans.gap_s, spans.track_one, spans.track_other
        ) AS place
    FROM (
        SELECT
            a.probability * b.probability AS joint_probability,
            CASE WHEN a.source = 'person' AND b.source = 'person' THEN 1 ELSE 0 END AS human_reviewed,
            CASE
                WHEN fb.time_s > la.time_s THEN fb.time_s - la.time_s
                WHEN fa.time_s > lb.time_s THEN fa.time_s - lb.time_s
                ELSE CAST(0 AS FLOAT)
            END AS gap_s,
            v.uri,
            v.site,
            v.camera,
            v.recorded_at,
            a.video_id,
            a.track_id AS track_one,
            fa.time_s AS first_s_one,
            la.time_s AS last_s_one,
            b.track_id AS track_other,
            fb.time_s AS first_s_other,
            lb.time_s AS last_s_other
        FROM v_named_track AS a
        INNER JOIN v_named_track AS b ON b.video_id = a.video_id
        INNER JOIN track AS ta ON ta.track_id = a.track_id
        INNER JOIN track AS tb ON tb.track_id = b.track_id
        INNER JOIN frame AS fa ON fa.video_id = ta.video_id AND fa.frame_no = ta.first_frame_no
        INNER JOIN frame AS la ON la.video_id = ta.video_id AND la.frame_no = ta.last_frame_no
        INNER JOIN frame AS fb ON fb.video_id = tb.video_id AND fb.frame_no = tb.first_frame_no
        INNER JOIN frame AS lb ON lb.video_id = tb.video_id AND lb.frame_no = tb.last_frame_no
        INNER JOIN video AS v ON v.video_id = a.video_id
        WHERE a.anim_id = :one AND b.anim_id = :other
    ) AS spans
    WHERE spans.gap_s <= CAST(:seconds AS FLOAT)
) AS near
WHERE near.place <= :limit
ORDER BY near.place
