-- When and where each individual was seen last, and how much was recorded since: for deciding about death and emigration.
-- One row: an individual; where it was never seen, last_seen is null and all recordings count as since.
-- days_unseen: calendar days from there to the last day of the archive. effort_days_since, recorded_s_since: days with
-- recordings and seconds of video after it, at any camera. longest_absence: the longest time in days after which it came
-- back. departed: 1 where the biography has a departure.
SELECT
    g.individual_id,
    g.anim_id,
    g.sex,
    g.first_seen,
    g.last_seen,
    (
        SELECT MAX(n.video_id)
        FROM v_named_track AS n
        INNER JOIN v_video_day AS v ON v.video_id = n.video_id
        WHERE n.individual_id = g.individual_id AND v.day_no = g.last_day_no
    ) AS last_video_id,
    g.n_days_seen,
    g.longest_absence,
    g.archive_ends_day_no - g.last_day_no AS days_unseen,
    g.effort_days_since,
    g.recorded_s_since,
    CASE WHEN g.depart_day_no IS NULL THEN 0 ELSE 1 END AS departed
FROM (
    SELECT
        i.individual_id,
        i.anim_id,
        i.sex,
        i.depart_day_no,
        MAX(s.first_seen) AS first_seen,
        MAX(s.last_seen) AS last_seen,
        MAX(s.last_day_no) AS last_day_no,
        COALESCE(MAX(s.n_days_seen), 0) AS n_days_seen,
        MAX(s.longest_absence) AS longest_absence,
        MAX(d.day_no) AS archive_ends_day_no,
        COUNT(CASE WHEN d.day_no > COALESCE(s.last_day_no, 0) THEN 1 END) AS effort_days_since,
        SUM(CASE WHEN d.day_no > COALESCE(s.last_day_no, 0) THEN d.recorded_s ELSE 0 END) AS recorded_s_since
    FROM v_individual_day AS i
    CROSS JOIN v_sampling_day AS d
    LEFT OUTER JOIN (
        SELECT
            a.individual_id,
            MIN(a.day) AS first_seen,
            MAX(a.day) AS last_seen,
            MAX(a.day_no) AS last_day_no,
            COUNT(*) AS n_days_seen,
            MAX(a.absence) AS longest_absence
        FROM (
            SELECT
                w.individual_id,
                w.day,
                w.day_no,
                w.day_no - LAG(w.day_no) OVER (PARTITION BY w.individual_id ORDER BY w.day_no) AS absence
            FROM (
                SELECT DISTINCT
                    n.individual_id,
                    v.day,
                    v.day_no
                FROM v_named_track AS n
                INNER JOIN v_video_day AS v ON v.video_id = n.video_id
                WHERE v.recorded_on IS NOT NULL
            ) AS w
        ) AS a
        GROUP BY a.individual_id
    ) AS s ON s.individual_id = i.individual_id
    GROUP BY i.individual_id, i.anim_id, i.sex, i.depart_day_no
) AS g
