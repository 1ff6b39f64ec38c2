-- How often is each individual seen for a hundred hours of recordings, year by year?
--
-- One row: an individual in a year in which it was alive and under study on a day with recordings.
--
-- Parameters:
--   individual text = null: AnimID; null: everybody
--
-- Topic: presence
-- Chart: line videos_per_100_hours by year for anim_id
--
-- Years without a sighting are rows with 0: they are what a decline is made of.
SELECT
    e.anim_id,
    e.year,
    e.n_days,
    e.hours_recorded,
    COALESCE(s.n_days_seen, 0) AS n_days_seen,
    COALESCE(s.n_videos, 0) AS n_videos,
    CASE WHEN e.hours_recorded > 0 THEN COALESCE(s.n_videos, 0) * 100 / e.hours_recorded END AS videos_per_100_hours
FROM (
    SELECT
        i.individual_id,
        i.anim_id,
        d.year,
        COUNT(*) AS n_days,
        SUM(d.recorded_s) / 3600 AS hours_recorded
    FROM v_individual_day AS i
    INNER JOIN v_sampling_day AS d ON d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
    WHERE CAST(:individual AS VARCHAR(40)) IS NULL OR i.anim_id = CAST(:individual AS VARCHAR(40))
    GROUP BY i.individual_id, i.anim_id, d.year
) AS e
LEFT OUTER JOIN (
    SELECT
        q.individual_id,
        q.year,
        COUNT(*) AS n_days_seen,
        SUM(q.n_videos) AS n_videos
    FROM (
        SELECT
            w.individual_id,
            CAST(SUBSTRING(w.day, 1, 4) AS INTEGER) AS year,
            w.n_videos
        FROM v_seen_day AS w
    ) AS q
    GROUP BY q.individual_id, q.year
) AS s ON s.individual_id = e.individual_id AND s.year = e.year
WHERE
    EXISTS (
        SELECT 1
        FROM v_named_track AS n
        WHERE n.individual_id = e.individual_id
    )
ORDER BY e.anim_id, e.year
