-- Who was seen with whom, within some seconds of each other?
--
-- One row: a partner of the individual, the most frequent first.
--
-- Parameters:
--   individual text = FF: AnimID
--   seconds number = 10: at most this far apart in one video; 0: visible at the same time
--   limit integer = 20: at most this many rows
--
-- Topic: company
-- Chart: bar n_videos by partner
SELECT
    ranked.place,
    ranked.partner,
    ranked.n_videos,
    ranked.n_days,
    ranked.seconds_at_once,
    ranked.smallest_gap_s,
    ranked.best_joint_probability
FROM (
    SELECT
        p.partner,
        COUNT(*) AS n_videos,
        COUNT(DISTINCT p.recorded_on) AS n_days,
        SUM(p.seconds_at_once) AS seconds_at_once,
        MIN(p.gap_s) AS smallest_gap_s,
        MAX(p.p_joint) AS best_joint_probability,
        ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, p.partner) AS place
    FROM (
        SELECT
            b.anim_id_b AS partner,
            b.recorded_on,
            b.seconds_at_once,
            b.gap_s,
            b.p_joint
        FROM v_dyad_video AS b
        WHERE b.anim_id_a = :individual
        UNION ALL
        SELECT
            a.anim_id_a AS partner,
            a.recorded_on,
            a.seconds_at_once,
            a.gap_s,
            a.p_joint
        FROM v_dyad_video AS a
        WHERE a.anim_id_b = :individual
    ) AS p
    WHERE p.gap_s <= CAST(:seconds AS FLOAT)
    GROUP BY p.partner
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
