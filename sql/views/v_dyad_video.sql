-- Which two individuals were in one video, how near in time, and how surely. One row: two individuals in a video
-- (individual_a < individual_b). From tracks alone: v_together has the frames.
-- seconds_at_once: how long tracks of both ran at once, 0 where one came after the other, and where nobody knows how long a
-- frame stands for; gap_s: seconds from the one's last to the other's first box, 0 where both were there at once, and only there. p_joint: the best pair of tracks, both names right, taken
-- as independent. human_reviewed: 1 where a person named both of one pair of tracks.
-- Windows rather than GROUP BY, as in v_sighting.
SELECT
    pairs.video_id,
    pairs.site,
    pairs.camera,
    pairs.recorded_on,
    pairs.individual_a,
    pairs.anim_id_a,
    pairs.individual_b,
    pairs.anim_id_b,
    pairs.sum_seconds_at_once AS seconds_at_once,
    pairs.min_gap_s AS gap_s,
    pairs.max_p_joint AS p_joint,
    pairs.any_reviewed AS human_reviewed
FROM (
    SELECT
        q.*,
        SUM(q.seconds_at_once)
            OVER (PARTITION BY q.video_id, q.site, q.camera, q.recorded_on, q.individual_a, q.anim_id_a, q.individual_b, q.anim_id_b)
            AS sum_seconds_at_once,
        MIN(q.gap_s)
            OVER (PARTITION BY q.video_id, q.site, q.camera, q.recorded_on, q.individual_a, q.anim_id_a, q.individual_b, q.anim_id_b)
            AS min_gap_s,
        MAX(q.p_joint)
            OVER (PARTITION BY q.video_id, q.site, q.camera, q.recorded_on, q.individual_a, q.anim_id_a, q.individual_b, q.anim_id_b)
            AS max_p_joint,
        MAX(q.human_reviewed)
            OVER (PARTITION BY q.video_id, q.site, q.camera, q.recorded_on, q.individual_a, q.anim_id_a, q.individual_b, q.anim_id_b)
            AS any_reviewed,
        MIN(q.track_a)
            OVER (PARTITION BY q.video_id, q.site, q.camera, q.recorded_on, q.individual_a, q.anim_id_a, q.individual_b, q.anim_id_b)
            AS first_track_a,
        MIN(q.track_b)
            OVER (PARTITION BY q.video_id, q.site, q.camera, q.recorded_on, q.individual_a, q.anim_id_a, q.individual_b, q.anim_id_b)
            AS first_track_b
    FROM (
        SELECT
            a.video_id,
            v.site,
            v.camera,
            v.recorded_on,
            a.track_id AS track_a,
            b.track_id AS track_b,
            a.individual_id AS individual_a,
            a.anim_id AS anim_id_a,
            b.individual_id AS individual_b,
            b.anim_id AS anim_id_b,
            CASE
                WHEN ta.first_s > tb.last_s OR tb.first_s > ta.last_s THEN CAST(0 AS FLOAT)
                ELSE
                    CASE WHEN ta.last_s < tb.last_s THEN ta.last_s ELSE tb.last_s END
                    - CASE WHEN ta.first_s > tb.first_s THEN ta.first_s ELSE tb.first_s END
                    + COALESCE(v.frame_s, v.duration_s, 0)
            END AS seconds_at_once,
            CASE
                WHEN tb.first_s > ta.last_s THEN tb.first_s - ta.last_s
                WHEN ta.first_s > tb.last_s THEN ta.first_s - tb.last_s
                ELSE CAST(0 AS FLOAT)
            END AS gap_s,
            a.probability * b.probability AS p_joint,
            CASE WHEN a.source = 'person' AND b.source = 'person' THEN 1 ELSE 0 END AS human_reviewed
        FROM v_named_track AS a
        INNER JOIN v_named_track AS b ON b.video_id = a.video_id AND b.individual_id > a.individual_id
        INNER JOIN track AS ta ON ta.track_id = a.track_id
        INNER JOIN track AS tb ON tb.track_id = b.track_id
        INNER JOIN video AS v ON v.video_id = a.video_id
    ) AS q
) AS pairs
WHERE pairs.track_a = pairs.first_track_a AND pairs.track_b = pairs.first_track_b
