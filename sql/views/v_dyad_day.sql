-- What two individuals did on a day on which at least one of them was seen, while both were alive and under study. One row:
-- a day and two individuals (individual_a < individual_b). The material of v_dyad_event.
-- Together, ever looser: at_once (tracks of both ran at once in one video, however long), in_video (in one video), in_party (at
-- one camera that day). p_a, p_b: of the best sighting of each; p_joint: that both names are right, of the best pair.
-- `present` says who was where by day (kind 0), party (1) and video, track by track (2); it is made once (MATERIALIZED), and two
-- arms read it: A was seen; B was seen and A was not. So the rows of some days or of one individual need no others, and all of
-- them are handed on as they are found. Nothing is sorted but what one day, party or video has.
WITH lives AS MATERIALIZED (
    SELECT
        i.individual_id,
        i.anim_id,
        i.from_day_no,
        i.until_day_no
    FROM v_individual_day AS i
),
present AS MATERIALIZED (
    SELECT
        w.individual_id,
        k.kind,
        CASE k.kind WHEN 0 THEN w.day_no WHEN 1 THEN w.party_id ELSE w.video_id END * 3 + k.kind AS place,
        w.day,
        w.day_no,
        w.month,
        MIN(w.first_s) AS first_s,
        MAX(w.last_s) AS last_s,
        MAX(w.frame_s) AS frame_s,
        CASE k.kind
            WHEN 0 THEN MAX(w.in_film)
            WHEN 1 THEN SUM(w.in_film * w.n_frames) / SUM(w.n_frames)
            ELSE MAX(w.probability)
        END AS probability
    FROM (
        SELECT
            q.*,
            q.sum_probability / q.n_boxes AS in_film,
            CASE
                WHEN q.track_id <> q.first_track_id THEN 0
                WHEN q.n_boxes < q.span THEN q.n_boxes
                ELSE q.span
            END AS n_frames
        FROM (
            SELECT
                n.individual_id,
                n.video_id,
                n.track_id,
                n.probability,
                p.party_id,
                d.day,
                d.day_no,
                d.month,
                COALESCE(d.frame_s, d.duration_s, 0) AS frame_s,
                t.first_s,
                t.last_s,
                MIN(n.track_id) OVER (PARTITION BY n.individual_id, n.video_id) AS first_track_id,
                SUM(n.probability * t.n_detections) OVER (PARTITION BY n.individual_id, n.video_id) AS sum_probability,
                SUM(t.n_detections) OVER (PARTITION BY n.individual_id, n.video_id) AS n_boxes,
                MAX(t.last_frame_no) OVER (PARTITION BY n.individual_id, n.video_id)
                - MIN(t.first_frame_no) OVER (PARTITION BY n.individual_id, n.video_id) + 1 AS span
            FROM v_named_track AS n
            INNER JOIN track AS t ON t.track_id = n.track_id
            INNER JOIN v_video_day AS d ON d.video_id = n.video_id
            INNER JOIN v_video_party AS p ON p.video_id = n.video_id
        ) AS q
    ) AS w
    CROSS JOIN (
        SELECT 0 AS kind
        UNION ALL
        SELECT 1 AS kind
        UNION ALL
        SELECT 2 AS kind
    ) AS k
    GROUP BY
        w.individual_id,
        k.kind,
        CASE k.kind WHEN 0 THEN w.day_no WHEN 1 THEN w.party_id ELSE w.video_id END * 3 + k.kind,
        CASE k.kind WHEN 2 THEN w.track_id ELSE 0 END,
        w.day,
        w.day_no,
        w.month
),
met AS MATERIALIZED (
    SELECT
        u.individual_a,
        u.individual_b,
        u.day_no,
        MAX(u.at_once) AS at_once,
        CASE WHEN COUNT(DISTINCT u.video) > 0 THEN 1 ELSE 0 END AS in_video,
        COUNT(DISTINCT u.video) AS n_videos,
        SUM(u.seconds) AS seconds,
        MAX(u.p_joint) AS p_joint
    FROM (
        SELECT
            a.individual_id AS individual_a,
            b.individual_id AS individual_b,
            a.day_no,
            CASE WHEN a.kind = 2 THEN a.place END AS video,
            CASE WHEN a.kind = 2 AND a.first_s <= b.last_s AND b.first_s <= a.last_s THEN 1 ELSE 0 END AS at_once,
            CASE
                WHEN a.kind < 2 OR a.first_s > b.last_s OR b.first_s > a.last_s THEN CAST(0 AS FLOAT)
                ELSE
                    CASE WHEN a.last_s < b.last_s THEN a.last_s ELSE b.last_s END
                    - CASE WHEN a.first_s > b.first_s THEN a.first_s ELSE b.first_s END
                    + a.frame_s
            END AS seconds,
            a.probability * b.probability AS p_joint
        FROM present AS a
        INNER JOIN present AS b ON b.place = a.place AND b.individual_id > a.individual_id
        WHERE a.kind > 0
    ) AS u
    GROUP BY u.individual_a, u.individual_b, u.day_no
)
SELECT
    a.individual_id AS individual_a,
    a.anim_id AS anim_id_a,
    b.individual_id AS individual_b,
    b.anim_id AS anim_id_b,
    s.day,
    s.day_no,
    s.month,
    1 AS seen_a,
    CASE WHEN o.individual_id IS NULL THEN 0 ELSE 1 END AS seen_b,
    COALESCE(m.at_once, 0) AS at_once,
    COALESCE(m.in_video, 0) AS in_video,
    CASE WHEN m.individual_a IS NULL THEN 0 ELSE 1 END AS in_party,
    CAST(COALESCE(m.n_videos, 0) AS INTEGER) AS n_videos,
    COALESCE(m.seconds, CAST(0 AS FLOAT)) AS seconds_at_once,
    m.p_joint,
    s.probability AS p_a,
    o.probability AS p_b
FROM present AS s
INNER JOIN lives AS a
    ON a.individual_id = s.individual_id AND s.day_no >= a.from_day_no AND s.day_no <= a.until_day_no
INNER JOIN lives AS b
    ON b.individual_id > s.individual_id AND s.day_no >= b.from_day_no AND s.day_no <= b.until_day_no
LEFT OUTER JOIN present AS o ON o.place = s.day_no * 3 AND o.individual_id = b.individual_id
LEFT OUTER JOIN met AS m
    ON m.individual_a = s.individual_id AND m.individual_b = b.individual_id AND m.day_no = s.day_no
WHERE s.kind = 0
UNION ALL
SELECT
    a.individual_id AS individual_a,
    a.anim_id AS anim_id_a,
    b.individual_id AS individual_b,
    b.anim_id AS anim_id_b,
    s.day,
    s.day_no,
    s.month,
    0 AS seen_a,
    1 AS seen_b,
    0 AS at_once,
    0 AS in_video,
    0 AS in_party,
    0 AS n_videos,
    CAST(0 AS FLOAT) AS seconds_at_once,
    CAST(NULL AS FLOAT) AS p_joint,
    CAST(NULL AS FLOAT) AS p_a,
    s.probability AS p_b
FROM present AS s
INNER JOIN lives AS b
    ON b.individual_id = s.individual_id AND s.day_no >= b.from_day_no AND s.day_no <= b.until_day_no
INNER JOIN lives AS a
    ON a.individual_id < s.individual_id AND s.day_no >= a.from_day_no AND s.day_no <= a.until_day_no
LEFT OUTER JOIN present AS o ON o.place = s.day_no * 3 AND o.individual_id = a.individual_id
WHERE s.kind = 0 AND o.individual_id IS NULL
