-- When were two individuals in one video within some seconds of each other, most certain first?
--
-- In one frame, or one after the other. One row: a track of the one and a track of the other.
--
-- Parameters:
--   one text = FI: AnimID
--   other text = FF: AnimID
--   seconds number = 5: at most this far apart; 0: visible at the same time
--   limit integer = 10: at most this many rows
--
-- Topic: company
--
-- A track counts as visible from its first to its last box. gap_s is 0 where the two overlap.
--
-- Each individual's tracks are listed once (MATERIALIZED) and the two lists joined: by way of the view for each track of
-- the one, it would take four times as long.
WITH one AS MATERIALIZED (
    SELECT n.track_id, n.video_id, n.probability, n.source FROM v_named_track AS n WHERE n.anim_id = :one
),
other AS MATERIALIZED (
    SELECT n.track_id, n.video_id, n.probability, n.source FROM v_named_track AS n WHERE n.anim_id = :other
)

SELECT
    nearby.place,
    nearby.joint_probability,
    nearby.human_reviewed,
    nearby.gap_s,
    nearby.uri,
    nearby.site,
    nearby.camera,
    nearby.recorded_at,
    nearby.video_id,
    nearby.track_one,
    nearby.first_s_one,
    nearby.last_s_one,
    nearby.track_other,
    nearby.first_s_other,
    nearby.last_s_other
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
                WHEN tb.first_s > ta.last_s THEN tb.first_s - ta.last_s
                WHEN ta.first_s > tb.last_s THEN ta.first_s - tb.last_s
                ELSE CAST(0 AS FLOAT)
            END AS gap_s,
            v.uri,
            v.site,
            v.camera,
            v.recorded_at,
            a.video_id,
            a.track_id AS track_one,
            ta.first_s AS first_s_one,
            ta.last_s AS last_s_one,
            b.track_id AS track_other,
            tb.first_s AS first_s_other,
            tb.last_s AS last_s_other
        FROM one AS a
        INNER JOIN other AS b ON b.video_id = a.video_id
        INNER JOIN track AS ta ON ta.track_id = a.track_id
        INNER JOIN track AS tb ON tb.track_id = b.track_id
        INNER JOIN video AS v ON v.video_id = a.video_id
    ) AS spans
    WHERE spans.gap_s <= CAST(:seconds AS FLOAT)
) AS nearby
WHERE nearby.place <= :limit
ORDER BY nearby.place
