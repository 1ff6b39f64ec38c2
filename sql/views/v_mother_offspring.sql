-- How much of its time an offspring spends with its mother. One row: an offspring whose mother is known, and a month in which
-- it was seen.
-- seconds_seen: how long it is visible; seconds_together: of that, at the same moment as its mother; seconds_apart: the rest.
-- n_videos, n_videos_together: videos with it, and of those with its mother too. sibling_present: 1 where a child of the
-- same mother shared a video with it. age_y: when it was first seen in the month.
-- orphan: 1 where the mother had died or disappeared for good before that day.
-- Tracks are listed once (MATERIALIZED), and mothers and siblings joined to that list: SQLite would else work out who each
-- track is again for each pair of them.
WITH lives AS MATERIALIZED (
    SELECT
        i.individual_id,
        i.anim_id,
        i.sex,
        i.mom_id,
        i.born_day_no,
        i.depart_type,
        i.depart_day_no
    FROM v_individual_day AS i
),
named AS MATERIALIZED (
    SELECT
        n.track_id,
        n.video_id,
        n.individual_id,
        i.mom_id,
        t.first_s,
        t.last_s
    FROM v_named_track AS n
    INNER JOIN lives AS i ON i.individual_id = n.individual_id
    INNER JOIN track AS t ON t.track_id = n.track_id
),
days AS MATERIALIZED (
    SELECT
        d.video_id,
        d.month,
        d.day_no,
        COALESCE(d.frame_s, d.duration_s, 0) AS frame_s
    FROM v_video_day AS d
    WHERE d.month IS NOT NULL
)
SELECT
    m.individual_id AS mother_id,
    m.anim_id AS mother_anim_id,
    o.individual_id AS offspring_id,
    o.anim_id AS offspring_anim_id,
    o.sex AS offspring_sex,
    g.month,
    (g.first_day_no - o.born_day_no) / CAST(365.25 AS FLOAT) AS age_y,
    g.n_videos,
    g.n_videos_together,
    g.seconds_seen,
    CASE WHEN g.seconds_together < g.seconds_seen THEN g.seconds_together ELSE g.seconds_seen END AS seconds_together,
    CASE
        WHEN g.seconds_together < g.seconds_seen THEN g.seconds_seen - g.seconds_together
        ELSE CAST(0 AS FLOAT)
    END AS seconds_apart,
    CASE
        WHEN g.seconds_seen > g.seconds_together THEN g.seconds_together / g.seconds_seen
        ELSE CAST(1 AS FLOAT)
    END AS prop_time_together,
    g.sibling_present,
    CASE WHEN m.depart_type IN ('D', 'P') AND m.depart_day_no < g.first_day_no THEN 1 ELSE 0 END AS orphan
FROM (
    SELECT
        u.offspring_id,
        u.month,
        MIN(u.day_no) AS first_day_no,
        SUM(u.n_videos) AS n_videos,
        COUNT(DISTINCT u.video_with_mother) AS n_videos_together,
        SUM(u.seconds_seen) AS seconds_seen,
        SUM(u.seconds_together) AS seconds_together,
        MAX(u.sibling_present) AS sibling_present
    FROM (
        SELECT
            s.individual_id AS offspring_id,
            d.month,
            d.day_no,
            1 AS n_videos,
            CAST(NULL AS BIGINT) AS video_with_mother,
            s.seconds_visible AS seconds_seen,
            CAST(0 AS FLOAT) AS seconds_together,
            0 AS sibling_present
        FROM v_sighting AS s
        INNER JOIN days AS d ON d.video_id = s.video_id
        UNION ALL
        SELECT
            o.individual_id AS offspring_id,
            d.month,
            d.day_no,
            0 AS n_videos,
            o.video_id AS video_with_mother,
            CAST(0 AS FLOAT) AS seconds_seen,
            CASE
                WHEN o.first_s > m.last_s OR m.first_s > o.last_s THEN CAST(0 AS FLOAT)
                ELSE
                    CASE WHEN o.last_s < m.last_s THEN o.last_s ELSE m.last_s END
                    - CASE WHEN o.first_s > m.first_s THEN o.first_s ELSE m.first_s END
                    + d.frame_s
            END AS seconds_together,
            0 AS sibling_present
        FROM named AS o
        INNER JOIN named AS m ON m.video_id = o.video_id AND m.individual_id = o.mom_id
        INNER JOIN days AS d ON d.video_id = o.video_id
        UNION ALL
        SELECT
            o.individual_id AS offspring_id,
            d.month,
            d.day_no,
            0 AS n_videos,
            CAST(NULL AS BIGINT) AS video_with_mother,
            CAST(0 AS FLOAT) AS seconds_seen,
            CAST(0 AS FLOAT) AS seconds_together,
            1 AS sibling_present
        FROM named AS o
        INNER JOIN named AS b ON b.video_id = o.video_id AND b.mom_id = o.mom_id AND b.individual_id <> o.individual_id
        INNER JOIN days AS d ON d.video_id = o.video_id
    ) AS u
    GROUP BY u.offspring_id, u.month
) AS g
INNER JOIN lives AS o ON o.individual_id = g.offspring_id
INNER JOIN lives AS m ON m.individual_id = o.mom_id
WHERE g.seconds_seen > 0
