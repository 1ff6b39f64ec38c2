-- Groups with their times and sizes. One row: a group in which an animal was seen; who was in it: v_gbi (the same group_id).
-- group_rule: 'video', 'day' (the party of one camera on one day) or 'frame' (reads boxes: ask for some videos).
-- n_known: individuals with a name; n_unknown: tracks of animals without one (an animal may have several tracks).
-- The group lasts from started_at plus start_s to ended_at plus end_s (moments in UTC, then seconds).
SELECT
    'video' AS group_rule,
    g.video_id AS group_id,
    g.video_id,
    g.site,
    g.camera,
    g.recorded_on,
    g.recorded_at AS started_at,
    g.start_s,
    g.recorded_at AS ended_at,
    g.end_s,
    g.n_known,
    g.n_unknown
FROM (
    SELECT
        v.video_id,
        v.site,
        v.camera,
        v.recorded_on,
        v.recorded_at,
        MIN(t.first_s) AS start_s,
        MAX(t.last_s) AS end_s,
        COUNT(DISTINCT ti.individual_id) AS n_known,
        SUM(CASE WHEN ti.individual_id IS NULL THEN 1 ELSE 0 END) AS n_unknown
    FROM v_track_identity AS ti
    INNER JOIN track AS t ON t.track_id = ti.track_id
    INNER JOIN video AS v ON v.video_id = ti.video_id
    WHERE ti.status NOT IN ('not_animal', 'bad_box')
    GROUP BY v.video_id, v.site, v.camera, v.recorded_on, v.recorded_at
) AS g
UNION ALL
SELECT
    'day' AS group_rule,
    g.party_id AS group_id,
    CAST(NULL AS BIGINT) AS video_id,
    g.site,
    g.camera,
    g.recorded_on,
    MIN(g.recorded_at) AS started_at,
    MIN(CASE WHEN g.nth_first = 1 THEN g.first_s END) AS start_s,
    MAX(g.recorded_at) AS ended_at,
    MAX(CASE WHEN g.nth_last = 1 THEN g.last_s END) AS end_s,
    COUNT(DISTINCT g.individual_id) AS n_known,
    SUM(CASE WHEN g.individual_id IS NULL THEN 1 ELSE 0 END) AS n_unknown
FROM (
    SELECT
        p.party_id,
        p.site,
        p.camera,
        p.recorded_on,
        p.recorded_at,
        ti.individual_id,
        t.first_s,
        t.last_s,
        ROW_NUMBER() OVER (
            PARTITION BY p.party_id, p.site, p.camera, p.recorded_on
            ORDER BY p.recorded_at, t.first_s, t.track_id
        ) AS nth_first,
        ROW_NUMBER() OVER (
            PARTITION BY p.party_id, p.site, p.camera, p.recorded_on
            ORDER BY p.recorded_at DESC, t.last_s DESC, t.track_id
        ) AS nth_last
    FROM v_track_identity AS ti
    INNER JOIN track AS t ON t.track_id = ti.track_id
    INNER JOIN v_video_party AS p ON p.video_id = ti.video_id
    WHERE ti.status NOT IN ('not_animal', 'bad_box')
) AS g
GROUP BY g.party_id, g.site, g.camera, g.recorded_on
UNION ALL
SELECT
    'frame' AS group_rule,
    g.video_id * 4194304 + g.frame_no AS group_id,
    g.video_id,
    g.site,
    g.camera,
    g.recorded_on,
    g.recorded_at AS started_at,
    g.time_s AS start_s,
    g.recorded_at AS ended_at,
    g.time_s AS end_s,
    g.n_known,
    g.n_unknown
FROM (
    SELECT
        d.video_id,
        d.frame_no,
        f.time_s,
        v.site,
        v.camera,
        v.recorded_on,
        v.recorded_at,
        COUNT(DISTINCT ti.individual_id) AS n_known,
        SUM(CASE WHEN ti.individual_id IS NULL THEN 1 ELSE 0 END) AS n_unknown
    FROM v_track_identity AS ti
    INNER JOIN detection AS d ON d.track_id = ti.track_id
    INNER JOIN frame AS f ON f.video_id = d.video_id AND f.frame_no = d.frame_no
    INNER JOIN video AS v ON v.video_id = ti.video_id
    WHERE ti.status NOT IN ('not_animal', 'bad_box')
    GROUP BY d.video_id, d.frame_no, f.time_s, v.site, v.camera, v.recorded_on, v.recorded_at
) AS g
