-- On which days each individual was seen at all. One row: an individual on a day, while it was alive and under study by its
-- biography (sightings outside of that are in v_plausibility, and count in no association).
-- Windows rather than GROUP BY, as in v_sighting.
SELECT
    w.individual_id,
    w.anim_id,
    w.recorded_on,
    w.day_no,
    w.day,
    w.month,
    w.sum_seconds AS seconds,
    w.best_probability AS probability,
    w.n_videos
FROM (
    SELECT
        s.individual_id,
        s.anim_id,
        s.recorded_on,
        d.day_no,
        d.day,
        d.month,
        s.video_id,
        MIN(s.video_id) OVER (PARTITION BY s.individual_id, s.anim_id, s.recorded_on) AS first_video_id,
        SUM(s.seconds_visible) OVER (PARTITION BY s.individual_id, s.anim_id, s.recorded_on) AS sum_seconds,
        MAX(s.mean_probability) OVER (PARTITION BY s.individual_id, s.anim_id, s.recorded_on) AS best_probability,
        COUNT(*) OVER (PARTITION BY s.individual_id, s.anim_id, s.recorded_on) AS n_videos
    FROM v_sighting AS s
    INNER JOIN v_individual_day AS i ON i.individual_id = s.individual_id
    INNER JOIN v_video_day AS d
        ON d.video_id = s.video_id AND d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
) AS w
WHERE w.video_id = w.first_video_id
