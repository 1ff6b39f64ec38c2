-- Names that contradict what is known of the animals: to clean labels and biographies, and to ask an expert next (each row
-- has a track). One row: a problem.
-- problem says what is wrong, look_at what to look at. track_id is the track in question, other_track_id the one it
-- contradicts; source and probability say who named it. off_by: by how many days, years or seconds, as off_unit says.
-- Mothers and infants: the infant was surely younger than 5 years, both were alive, and the camera saw the one without the
-- other all day (the warning of the Gombe mother-infant project). Communities: as the memberships of that day say.
-- Tracks and lives are listed once (MATERIALIZED) and these lists joined: SQLite would else work out who each track is again
-- for each pair of them.
WITH named AS MATERIALIZED (
    SELECT
        n.track_id,
        n.video_id,
        n.individual_id,
        n.anim_id,
        n.source,
        n.probability,
        t.first_frame_no,
        t.last_frame_no,
        t.first_s,
        t.last_s,
        t.n_detections,
        v.site,
        v.camera,
        v.recorded_on,
        v.day,
        v.day_no,
        v.unix_s
    FROM v_named_track AS n
    INNER JOIN track AS t ON t.track_id = n.track_id
    INNER JOIN v_video_day AS v ON v.video_id = n.video_id
),
lives AS MATERIALIZED (
    SELECT i.*
    FROM v_individual_day AS i
),
in_video AS MATERIALIZED (
    SELECT DISTINCT
        n.individual_id,
        n.video_id
    FROM named AS n
),
at_camera AS MATERIALIZED (
    SELECT DISTINCT
        n.individual_id,
        n.site,
        n.camera,
        n.recorded_on
    FROM named AS n
    WHERE n.camera IS NOT NULL AND n.recorded_on IS NOT NULL
),
belongs AS MATERIALIZED (
    SELECT
        n.video_id,
        n.track_id,
        n.individual_id,
        n.anim_id,
        n.source,
        n.probability,
        n.day,
        n.site,
        n.camera,
        m.community_id
    FROM named AS n
    INNER JOIN v_membership_day AS m
        ON m.individual_id = n.individual_id AND n.day >= m.start_day AND n.day <= m.end_day
),
sighted AS MATERIALIZED (
    SELECT
        n.individual_id,
        n.anim_id,
        n.video_id,
        n.site,
        n.camera,
        n.recorded_on,
        n.day,
        n.unix_s,
        MIN(n.track_id) AS track_id,
        MIN(n.first_s) AS first_s,
        MAX(n.last_s) AS last_s,
        MAX(CASE WHEN n.source = 'person' THEN 1 ELSE 0 END) AS human_reviewed,
        SUM(n.probability * n.n_detections) / SUM(n.n_detections) AS mean_probability
    FROM named AS n
    WHERE n.unix_s IS NOT NULL
    GROUP BY n.individual_id, n.anim_id, n.video_id, n.site, n.camera, n.recorded_on, n.day, n.unix_s
)
SELECT
    CASE
        WHEN n.day_no < i.born_first_day_no THEN 'seen before it was born'
        WHEN n.day_no < i.entry_day_no THEN 'seen before it came'
        WHEN n.day_no > i.depart_latest_day_no THEN 'seen after it departed'
        ELSE 'seen older than 70 years'
    END AS problem,
    CASE
        WHEN n.day_no < i.born_first_day_no THEN 'the name of the track, the birth date, the date of the video'
        WHEN n.day_no < i.entry_day_no THEN 'the name of the track, the entry date, the date of the video'
        WHEN n.day_no > i.depart_latest_day_no THEN 'the name of the track, the departure, the date of the video'
        ELSE 'the name of the track, the birth date, a departure that nobody recorded'
    END AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    n.day,
    n.site,
    n.camera,
    n.source,
    n.probability,
    CAST(NULL AS BIGINT) AS other_individual_id,
    CAST(NULL AS VARCHAR(40)) AS other_anim_id,
    CAST(NULL AS BIGINT) AS other_track_id,
    CASE
        WHEN n.day_no < i.born_first_day_no THEN CAST(i.born_first_day_no - n.day_no AS FLOAT)
        WHEN n.day_no < i.entry_day_no THEN CAST(i.entry_day_no - n.day_no AS FLOAT)
        WHEN n.day_no > i.depart_latest_day_no THEN n.day_no - i.depart_latest_day_no
        ELSE (n.day_no - i.born_last_day_no) / CAST(365.25 AS FLOAT) - 70
    END AS off_by,
    CASE
        WHEN n.day_no < i.born_first_day_no OR n.day_no < i.entry_day_no OR n.day_no > i.depart_latest_day_no THEN 'days'
        ELSE 'years'
    END AS off_unit
FROM named AS n
INNER JOIN lives AS i ON i.individual_id = n.individual_id
WHERE
    n.day_no < i.born_first_day_no
    OR n.day_no < i.entry_day_no
    OR n.day_no > i.depart_latest_day_no
    OR (n.day_no - i.born_last_day_no) / CAST(365.25 AS FLOAT) > 70
UNION ALL
SELECT
    'an infant without its mother' AS problem,
    'the names of both, or of an unnamed track beside it; else who cares for it now' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    n.day,
    n.site,
    n.camera,
    n.source,
    n.probability,
    m.individual_id AS other_individual_id,
    m.anim_id AS other_anim_id,
    CAST(NULL AS BIGINT) AS other_track_id,
    (n.day_no - i.born_day_no) / CAST(365.25 AS FLOAT) AS off_by,
    'years old' AS off_unit
FROM named AS n
INNER JOIN lives AS i ON i.individual_id = n.individual_id
INNER JOIN lives AS m ON m.individual_id = i.mom_id
LEFT OUTER JOIN in_video AS beside ON beside.individual_id = i.mom_id AND beside.video_id = n.video_id
LEFT OUTER JOIN at_camera AS there
    ON
        there.individual_id = i.mom_id
        AND there.camera = n.camera
        AND there.recorded_on = n.recorded_on
        AND (there.site = n.site OR (there.site IS NULL AND n.site IS NULL))
WHERE
    n.day_no >= i.born_last_day_no
    AND (n.day_no - i.born_first_day_no) / CAST(365.25 AS FLOAT) < 5
    AND n.day_no >= m.from_day_no
    AND n.day_no <= m.until_day_no
    AND beside.individual_id IS NULL
    AND there.individual_id IS NULL
UNION ALL
SELECT
    'a mother without her infant' AS problem,
    'the names of both, or of an unnamed track beside her; else whether the infant is alive' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    n.day,
    n.site,
    n.camera,
    n.source,
    n.probability,
    c.individual_id AS other_individual_id,
    c.anim_id AS other_anim_id,
    CAST(NULL AS BIGINT) AS other_track_id,
    (n.day_no - c.born_day_no) / CAST(365.25 AS FLOAT) AS off_by,
    'years old' AS off_unit
FROM named AS n
INNER JOIN lives AS c ON c.mom_id = n.individual_id
INNER JOIN lives AS m ON m.individual_id = n.individual_id
LEFT OUTER JOIN in_video AS beside ON beside.individual_id = c.individual_id AND beside.video_id = n.video_id
LEFT OUTER JOIN at_camera AS there
    ON
        there.individual_id = c.individual_id
        AND there.camera = n.camera
        AND there.recorded_on = n.recorded_on
        AND (there.site = n.site OR (there.site IS NULL AND n.site IS NULL))
WHERE
    n.day_no >= c.born_last_day_no
    AND (n.day_no - c.born_first_day_no) / CAST(365.25 AS FLOAT) < 5
    AND n.day_no >= c.from_day_no
    AND n.day_no <= c.until_day_no
    AND n.day_no <= m.until_day_no
    AND beside.individual_id IS NULL
    AND there.individual_id IS NULL
UNION ALL
SELECT
    'two communities in one video' AS problem,
    'the names of both, the memberships, or an immigration that nobody recorded' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    n.day,
    n.site,
    n.camera,
    n.source,
    n.probability,
    o.individual_id AS other_individual_id,
    o.anim_id AS other_anim_id,
    o.track_id AS other_track_id,
    CAST(NULL AS FLOAT) AS off_by,
    CAST(NULL AS VARCHAR(10)) AS off_unit
FROM belongs AS n
INNER JOIN belongs AS o
    ON o.video_id = n.video_id AND o.individual_id > n.individual_id AND o.community_id <> n.community_id
UNION ALL
SELECT
    'one animal twice in one frame' AS problem,
    'the names of both tracks: two animals, or two boxes of one' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    n.day,
    n.site,
    n.camera,
    n.source,
    n.probability,
    o.individual_id AS other_individual_id,
    o.anim_id AS other_anim_id,
    o.track_id AS other_track_id,
    CAST(NULL AS FLOAT) AS off_by,
    CAST(NULL AS VARCHAR(10)) AS off_unit
FROM named AS n
INNER JOIN named AS o
    ON o.video_id = n.video_id AND o.individual_id = n.individual_id AND o.track_id > n.track_id
WHERE
    n.first_frame_no <= o.last_frame_no
    AND o.first_frame_no <= n.last_frame_no
    AND EXISTS (
        SELECT 1
        FROM detection AS dn
        INNER JOIN detection AS db ON db.track_id = o.track_id AND db.frame_no = dn.frame_no
        WHERE dn.track_id = n.track_id
    )
UNION ALL
SELECT
    'one animal in two places at once' AS problem,
    'the names of both tracks, the clocks of both cameras' AS look_at,
    x.individual_id,
    x.anim_id,
    x.track_id,
    x.video_id,
    x.day,
    x.site,
    x.camera,
    CASE WHEN x.human_reviewed = 1 THEN 'person' ELSE 'model' END AS source,
    x.mean_probability AS probability,
    y.individual_id AS other_individual_id,
    y.anim_id AS other_anim_id,
    y.track_id AS other_track_id,
    CASE WHEN x.unix_s + x.last_s < y.unix_s + y.last_s THEN x.unix_s + x.last_s ELSE y.unix_s + y.last_s END
    - CASE WHEN x.unix_s + x.first_s > y.unix_s + y.first_s THEN x.unix_s + x.first_s ELSE y.unix_s + y.first_s END
        AS off_by,
    'seconds' AS off_unit
FROM sighted AS x
INNER JOIN sighted AS y
    ON
        y.individual_id = x.individual_id
        AND y.recorded_on = x.recorded_on
        AND y.video_id > x.video_id
WHERE
    (COALESCE(x.camera, '') <> COALESCE(y.camera, '') OR COALESCE(x.site, '') <> COALESCE(y.site, ''))
    AND x.unix_s + x.first_s <= y.unix_s + y.last_s
    AND y.unix_s + y.first_s <= x.unix_s + x.last_s
