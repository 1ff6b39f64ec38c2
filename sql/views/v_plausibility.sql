-- Names that contradict what is known of the animals: to clean labels and biographies, and to ask an expert next (each row
-- has a track). One row: a problem.
-- problem says what is wrong, look_at what to look at. track_id is the track in question, other_track_id the one it
-- contradicts; source and probability say who named it. off_by: by how many days, years or seconds, as off_unit says.
-- Mothers and infants: the infant was surely younger than 5 years, both were alive, and the camera saw the one without the
-- other all day (the warning of the Gombe mother-infant project). Communities: as the memberships of that day say.
SELECT
    CASE
        WHEN v.day_no < i.born_first_day_no THEN 'seen before it was born'
        WHEN v.day_no < i.entry_day_no THEN 'seen before it came'
        WHEN v.day_no > i.depart_latest_day_no THEN 'seen after it departed'
        ELSE 'seen older than 70 years'
    END AS problem,
    CASE
        WHEN v.day_no < i.born_first_day_no THEN 'the name of the track, the birth date, the date of the video'
        WHEN v.day_no < i.entry_day_no THEN 'the name of the track, the entry date, the date of the video'
        WHEN v.day_no > i.depart_latest_day_no THEN 'the name of the track, the departure, the date of the video'
        ELSE 'the name of the track, the birth date, a departure that nobody recorded'
    END AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    v.day,
    v.site,
    v.camera,
    n.source,
    n.probability,
    CAST(NULL AS BIGINT) AS other_individual_id,
    CAST(NULL AS VARCHAR(40)) AS other_anim_id,
    CAST(NULL AS BIGINT) AS other_track_id,
    CASE
        WHEN v.day_no < i.born_first_day_no THEN CAST(i.born_first_day_no - v.day_no AS FLOAT)
        WHEN v.day_no < i.entry_day_no THEN CAST(i.entry_day_no - v.day_no AS FLOAT)
        WHEN v.day_no > i.depart_latest_day_no THEN v.day_no - i.depart_latest_day_no
        ELSE (v.day_no - i.born_last_day_no) / CAST(365.25 AS FLOAT) - 70
    END AS off_by,
    CASE
        WHEN v.day_no < i.born_first_day_no OR v.day_no < i.entry_day_no OR v.day_no > i.depart_latest_day_no THEN 'days'
        ELSE 'years'
    END AS off_unit
FROM v_named_track AS n
INNER JOIN v_individual_day AS i ON i.individual_id = n.individual_id
INNER JOIN v_video_day AS v ON v.video_id = n.video_id
WHERE
    v.day_no < i.born_first_day_no
    OR v.day_no < i.entry_day_no
    OR v.day_no > i.depart_latest_day_no
    OR (v.day_no - i.born_last_day_no) / CAST(365.25 AS FLOAT) > 70
UNION ALL
SELECT
    'an infant without its mother' AS problem,
    'the names of both, or of an unnamed track beside it; else who cares for it now' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    v.day,
    v.site,
    v.camera,
    n.source,
    n.probability,
    m.individual_id AS other_individual_id,
    m.anim_id AS other_anim_id,
    CAST(NULL AS BIGINT) AS other_track_id,
    (v.day_no - i.born_day_no) / CAST(365.25 AS FLOAT) AS off_by,
    'years old' AS off_unit
FROM v_named_track AS n
INNER JOIN v_individual_day AS i ON i.individual_id = n.individual_id
INNER JOIN v_individual_day AS m ON m.individual_id = i.mom_id
INNER JOIN v_video_day AS v ON v.video_id = n.video_id
WHERE
    v.day_no >= i.born_last_day_no
    AND (v.day_no - i.born_first_day_no) / CAST(365.25 AS FLOAT) < 5
    AND v.day_no >= m.from_day_no
    AND v.day_no <= m.until_day_no
    AND NOT EXISTS (
        SELECT 1
        FROM video AS w
        INNER JOIN v_named_track AS o ON o.video_id = w.video_id
        WHERE
            o.individual_id = i.mom_id
            AND (
                (w.site = v.site AND w.camera = v.camera AND w.recorded_on = v.recorded_on)
                OR (w.site IS NULL AND v.site IS NULL AND w.camera = v.camera AND w.recorded_on = v.recorded_on)
                OR w.video_id = v.video_id
            )
    )
UNION ALL
SELECT
    'a mother without her infant' AS problem,
    'the names of both, or of an unnamed track beside her; else whether the infant is alive' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    v.day,
    v.site,
    v.camera,
    n.source,
    n.probability,
    c.individual_id AS other_individual_id,
    c.anim_id AS other_anim_id,
    CAST(NULL AS BIGINT) AS other_track_id,
    (v.day_no - c.born_day_no) / CAST(365.25 AS FLOAT) AS off_by,
    'years old' AS off_unit
FROM v_named_track AS n
INNER JOIN v_individual_day AS c ON c.mom_id = n.individual_id
INNER JOIN v_individual_day AS m ON m.individual_id = n.individual_id
INNER JOIN v_video_day AS v ON v.video_id = n.video_id
WHERE
    v.day_no >= c.born_last_day_no
    AND (v.day_no - c.born_first_day_no) / CAST(365.25 AS FLOAT) < 5
    AND v.day_no >= c.from_day_no
    AND v.day_no <= c.until_day_no
    AND v.day_no <= m.until_day_no
    AND NOT EXISTS (
        SELECT 1
        FROM video AS w
        INNER JOIN v_named_track AS o ON o.video_id = w.video_id
        WHERE
            o.individual_id = c.individual_id
            AND (
                (w.site = v.site AND w.camera = v.camera AND w.recorded_on = v.recorded_on)
                OR (w.site IS NULL AND v.site IS NULL AND w.camera = v.camera AND w.recorded_on = v.recorded_on)
                OR w.video_id = v.video_id
            )
    )
UNION ALL
SELECT
    'two communities in one video' AS problem,
    'the names of both, the memberships, or an immigration that nobody recorded' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    v.day,
    v.site,
    v.camera,
    n.source,
    n.probability,
    o.individual_id AS other_individual_id,
    o.anim_id AS other_anim_id,
    o.track_id AS other_track_id,
    CAST(NULL AS FLOAT) AS off_by,
    CAST(NULL AS VARCHAR(10)) AS off_unit
FROM v_named_track AS n
INNER JOIN v_named_track AS o ON o.video_id = n.video_id AND o.individual_id > n.individual_id
INNER JOIN v_video_day AS v ON v.video_id = n.video_id
INNER JOIN v_membership_day AS mn
    ON mn.individual_id = n.individual_id AND v.day >= mn.start_day AND v.day <= mn.end_day
INNER JOIN v_membership_day AS mo
    ON mo.individual_id = o.individual_id AND v.day >= mo.start_day AND v.day <= mo.end_day
WHERE mn.community_id <> mo.community_id
UNION ALL
SELECT
    'one animal twice in one frame' AS problem,
    'the names of both tracks: two animals, or two boxes of one' AS look_at,
    n.individual_id,
    n.anim_id,
    n.track_id,
    n.video_id,
    v.day,
    v.site,
    v.camera,
    n.source,
    n.probability,
    o.individual_id AS other_individual_id,
    o.anim_id AS other_anim_id,
    o.track_id AS other_track_id,
    CAST(NULL AS FLOAT) AS off_by,
    CAST(NULL AS VARCHAR(10)) AS off_unit
FROM v_named_track AS n
INNER JOIN v_named_track AS o
    ON o.video_id = n.video_id AND o.individual_id = n.individual_id AND o.track_id > n.track_id
INNER JOIN track AS tn ON tn.track_id = n.track_id
INNER JOIN track AS tb ON tb.track_id = o.track_id
INNER JOIN v_video_day AS v ON v.video_id = n.video_id
WHERE
    tn.first_frame_no <= tb.last_frame_no
    AND tb.first_frame_no <= tn.last_frame_no
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
    (
        SELECT MIN(n.track_id)
        FROM v_named_track AS n
        WHERE n.video_id = x.video_id AND n.individual_id = x.individual_id
    ) AS track_id,
    x.video_id,
    v.day,
    v.site,
    v.camera,
    CASE WHEN x.human_reviewed = 1 THEN 'person' ELSE 'model' END AS source,
    x.mean_probability AS probability,
    y.individual_id AS other_individual_id,
    y.anim_id AS other_anim_id,
    (
        SELECT MIN(n.track_id)
        FROM v_named_track AS n
        WHERE n.video_id = y.video_id AND n.individual_id = y.individual_id
    ) AS other_track_id,
    CASE WHEN v.unix_s + x.last_s < w.unix_s + y.last_s THEN v.unix_s + x.last_s ELSE w.unix_s + y.last_s END
    - CASE WHEN v.unix_s + x.first_s > w.unix_s + y.first_s THEN v.unix_s + x.first_s ELSE w.unix_s + y.first_s END
        AS off_by,
    'seconds' AS off_unit
FROM v_sighting AS x
INNER JOIN v_sighting AS y
    ON
        y.individual_id = x.individual_id
        AND y.recorded_on = x.recorded_on
        AND y.video_id > x.video_id
INNER JOIN v_video_day AS v ON v.video_id = x.video_id
INNER JOIN v_video_day AS w ON w.video_id = y.video_id
WHERE
    (COALESCE(v.camera, '') <> COALESCE(w.camera, '') OR COALESCE(v.site, '') <> COALESCE(w.site, ''))
    AND v.unix_s + x.first_s <= w.unix_s + y.last_s
    AND w.unix_s + y.first_s <= v.unix_s + x.last_s
