-- What two individuals did on a day on which at least one of them was seen, while both were alive and under study. One row:
-- a day and two individuals (individual_a < individual_b). The material of v_dyad and v_dyad_event.
-- Together, ever looser: at_once (visible at the same moment), in_video (in one video), in_party (at one camera that day).
-- Four arms: A was seen; B was seen; both in one video; both in one party. The first two have one row for a day and two
-- individuals; it is kept, with what all arms say. Windows rather than GROUP BY, as in v_sighting.
SELECT
    w.individual_a,
    w.anim_id_a,
    w.individual_b,
    w.anim_id_b,
    w.day,
    w.day_no,
    w.month,
    w.max_seen_a AS seen_a,
    w.max_seen_b AS seen_b,
    w.max_at_once AS at_once,
    w.max_in_video AS in_video,
    w.max_in_party AS in_party,
    w.sum_n_videos AS n_videos,
    w.sum_seconds_at_once AS seconds_at_once,
    w.max_p_joint AS p_joint,
    w.max_p_a AS p_a,
    w.max_p_b AS p_b
FROM (
    SELECT
        u.arm,
        u.individual_a,
        u.anim_id_a,
        u.individual_b,
        u.anim_id_b,
        u.day,
        u.day_no,
        u.month,
        MAX(u.seen_a)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_seen_a,
        MAX(u.seen_b)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_seen_b,
        MAX(u.at_once)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_at_once,
        MAX(u.in_video)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_in_video,
        MAX(u.in_party)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_in_party,
        SUM(u.n_videos)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS sum_n_videos,
        SUM(u.seconds_at_once)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS sum_seconds_at_once,
        MAX(u.p_joint)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_p_joint,
        MAX(u.p_a)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_p_a,
        MAX(u.p_b)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS max_p_b,
        MIN(u.arm)
            OVER (PARTITION BY u.individual_a, u.anim_id_a, u.individual_b, u.anim_id_b, u.day, u.day_no, u.month)
            AS first_arm
    FROM (
        SELECT
            1 AS arm,
            a.individual_id AS individual_a,
            a.anim_id AS anim_id_a,
            b.individual_id AS individual_b,
            b.anim_id AS anim_id_b,
            a.day,
            a.day_no,
            a.month,
            1 AS seen_a,
            0 AS seen_b,
            0 AS at_once,
            0 AS in_video,
            0 AS in_party,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS seconds_at_once,
            CAST(NULL AS FLOAT) AS p_joint,
            a.probability AS p_a,
            CAST(NULL AS FLOAT) AS p_b
        FROM v_seen_day AS a
        INNER JOIN v_individual_day AS b
            ON b.individual_id > a.individual_id AND a.day_no >= b.from_day_no AND a.day_no <= b.until_day_no
        UNION ALL
        SELECT
            2 AS arm,
            a.individual_id AS individual_a,
            a.anim_id AS anim_id_a,
            b.individual_id AS individual_b,
            b.anim_id AS anim_id_b,
            b.day,
            b.day_no,
            b.month,
            0 AS seen_a,
            1 AS seen_b,
            0 AS at_once,
            0 AS in_video,
            0 AS in_party,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS seconds_at_once,
            CAST(NULL AS FLOAT) AS p_joint,
            CAST(NULL AS FLOAT) AS p_a,
            b.probability AS p_b
        FROM v_seen_day AS b
        INNER JOIN v_individual_day AS a
            ON a.individual_id < b.individual_id AND b.day_no >= a.from_day_no AND b.day_no <= a.until_day_no
        UNION ALL
        SELECT
            3 AS arm,
            s.individual_a AS individual_a,
            s.anim_id_a AS anim_id_a,
            s.individual_b AS individual_b,
            s.anim_id_b AS anim_id_b,
            d.day,
            d.day_no,
            d.month,
            1 AS seen_a,
            1 AS seen_b,
            CASE WHEN s.gap_s = 0 THEN 1 ELSE 0 END AS at_once,
            1 AS in_video,
            1 AS in_party,
            1 AS n_videos,
            s.seconds_at_once AS seconds_at_once,
            s.p_joint AS p_joint,
            CAST(NULL AS FLOAT) AS p_a,
            CAST(NULL AS FLOAT) AS p_b
        FROM v_dyad_video AS s
        INNER JOIN v_video_day AS d ON d.video_id = s.video_id
        INNER JOIN v_individual_day AS a
            ON a.individual_id = s.individual_a AND d.day_no >= a.from_day_no AND d.day_no <= a.until_day_no
        INNER JOIN v_individual_day AS b
            ON b.individual_id = s.individual_b AND d.day_no >= b.from_day_no AND d.day_no <= b.until_day_no
        UNION ALL
        SELECT
            4 AS arm,
            pa.individual_id AS individual_a,
            pa.anim_id AS anim_id_a,
            pb.individual_id AS individual_b,
            pb.anim_id AS anim_id_b,
            d.day,
            d.day_no,
            d.month,
            1 AS seen_a,
            1 AS seen_b,
            0 AS at_once,
            0 AS in_video,
            1 AS in_party,
            0 AS n_videos,
            CAST(0 AS FLOAT) AS seconds_at_once,
            pa.probability * pb.probability AS p_joint,
            CAST(NULL AS FLOAT) AS p_a,
            CAST(NULL AS FLOAT) AS p_b
        FROM v_party_member AS pa
        INNER JOIN v_party_member AS pb ON pb.party_id = pa.party_id AND pb.individual_id > pa.individual_id
        INNER JOIN v_video_day AS d ON d.video_id = pa.party_id
        INNER JOIN v_individual_day AS a
            ON a.individual_id = pa.individual_id AND d.day_no >= a.from_day_no AND d.day_no <= a.until_day_no
        INNER JOIN v_individual_day AS b
            ON b.individual_id = pb.individual_id AND d.day_no >= b.from_day_no AND d.day_no <= b.until_day_no
    ) AS u
) AS w
WHERE w.arm = w.first_arm
