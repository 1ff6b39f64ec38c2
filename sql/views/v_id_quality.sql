-- How far the champion head's names can be trusted, and for whom. One row: a slice of the archive.
-- slice_kind: 'all', 'individual' (every one, also those nobody has labelled), 'sex', 'age_class' (scheme gombe, on the day
-- of the video), 'matriline', 'camera', 'year'; slice_value: which.
-- n_train_tracks: tracks that people named outside of what measures (lanes audit and groups) and of test days (the head leaves out a few more: the audit
-- reserve). n_audit: audit tracks whose animal people named; n_answered: audit tracks that the head named.
-- id_recall = n_correct / n_audit of the animals of the slice; id_precision = n_correct / n_answered of the names of it;
-- _low and _high are the limits of 95 in 100 (Wilson 1927). Null where there is nothing to divide by.
SELECT
    w.slice_kind,
    w.slice_value,
    w.n_train_tracks,
    w.n_audit,
    w.n_answered,
    w.n_correct,
    CASE WHEN w.n_answered > 0 THEN w.k / w.np END AS id_precision,
    CASE WHEN w.n_answered > 0 THEN (w.k + w.zz / 2 - w.z * SQRT(w.k * (w.np - w.k) / w.np + w.zz / 4)) / (w.np + w.zz) END
        AS id_precision_low,
    CASE WHEN w.n_answered > 0 THEN (w.k + w.zz / 2 + w.z * SQRT(w.k * (w.np - w.k) / w.np + w.zz / 4)) / (w.np + w.zz) END
        AS id_precision_high,
    CASE WHEN w.n_audit > 0 THEN w.k / w.nr END AS id_recall,
    CASE WHEN w.n_audit > 0 THEN (w.k + w.zz / 2 - w.z * SQRT(w.k * (w.nr - w.k) / w.nr + w.zz / 4)) / (w.nr + w.zz) END
        AS id_recall_low,
    CASE WHEN w.n_audit > 0 THEN (w.k + w.zz / 2 + w.z * SQRT(w.k * (w.nr - w.k) / w.nr + w.zz / 4)) / (w.nr + w.zz) END
        AS id_recall_high
FROM (
    SELECT
        g.slice_kind,
        g.slice_value,
        SUM(g.n_train) AS n_train_tracks,
        SUM(g.n_audit) AS n_audit,
        SUM(g.n_answered) AS n_answered,
        SUM(g.n_correct) AS n_correct,
        CAST(SUM(g.n_correct) AS FLOAT) AS k,
        CAST(CASE WHEN SUM(g.n_answered) > 0 THEN SUM(g.n_answered) ELSE 1 END AS FLOAT) AS np,
        CAST(CASE WHEN SUM(g.n_audit) > 0 THEN SUM(g.n_audit) ELSE 1 END AS FLOAT) AS nr,
        CAST(1.959963984540054 AS FLOAT) AS z,
        CAST(3.841458820694124 AS FLOAT) AS zz
    FROM (
        SELECT
            kinds.slice_kind,
            CASE kinds.slice_kind
                WHEN 'all' THEN 'all'
                WHEN 'individual' THEN i.anim_id /* by code points */
                WHEN 'sex' THEN i.sex /* by code points */
                WHEN 'age_class' THEN c.name /* by code points */
                WHEN 'matriline' THEN l.matriline /* by code points */
                WHEN 'camera' THEN v.camera /* by code points */
                ELSE CAST(v.year AS VARCHAR(4))
            END AS slice_value,
            u.n_train,
            u.n_audit,
            u.n_answered,
            u.n_correct
        FROM (
            SELECT
                t.true_id AS individual_id,
                t.video_id,
                0 AS n_train,
                1 AS n_audit,
                0 AS n_answered,
                t.correct AS n_correct
            FROM v_audit_answer AS t
            WHERE t.true_id IS NOT NULL
            UNION ALL
            SELECT
                p.predicted_id AS individual_id,
                p.video_id,
                0 AS n_train,
                0 AS n_audit,
                1 AS n_answered,
                0 AS n_correct
            FROM v_audit_answer AS p
            WHERE p.predicted_id IS NOT NULL
            UNION ALL
            SELECT
                e.individual_id,
                lt.video_id,
                1 AS n_train,
                0 AS n_audit,
                0 AS n_answered,
                0 AS n_correct
            FROM v_effective_answer AS e
            INNER JOIN track AS lt ON lt.track_id = e.track_id
            INNER JOIN split_assignment AS sa ON sa.video_id = lt.video_id
            WHERE
                e.kind IN ('identify', 'new_individual')
                AND lt.state = 'live'
                AND sa.split <> 'test'
                AND NOT EXISTS (
                    SELECT 1
                    FROM annotation AS asked
                    WHERE asked.track_id = e.track_id AND asked.lane IN ('audit', 'groups')
                )
            UNION ALL
            SELECT
                x.individual_id,
                CAST(NULL AS BIGINT) AS video_id,
                0 AS n_train,
                0 AS n_audit,
                0 AS n_answered,
                0 AS n_correct
            FROM v_individual_day AS x
        ) AS u
        INNER JOIN v_individual_day AS i ON i.individual_id = u.individual_id
        LEFT OUTER JOIN v_matriline AS l ON l.individual_id = u.individual_id
        LEFT OUTER JOIN v_video_day AS v ON v.video_id = u.video_id
        LEFT OUTER JOIN age_class AS c
            ON
                c.scheme = 'gombe'
                AND c.sex = i.sex
                AND (v.day_no - i.born_day_no) / CAST(365.25 AS FLOAT) >= c.min_age_y
                AND (c.max_age_y IS NULL OR (v.day_no - i.born_day_no) / CAST(365.25 AS FLOAT) < c.max_age_y)
        CROSS JOIN (
            SELECT 'all' AS slice_kind
            UNION ALL
            SELECT 'individual' AS slice_kind
            UNION ALL
            SELECT 'sex' AS slice_kind
            UNION ALL
            SELECT 'age_class' AS slice_kind
            UNION ALL
            SELECT 'matriline' AS slice_kind
            UNION ALL
            SELECT 'camera' AS slice_kind
            UNION ALL
            SELECT 'year' AS slice_kind
        ) AS kinds
    ) AS g
    WHERE g.slice_value IS NOT NULL
    GROUP BY g.slice_kind, g.slice_value
) AS w
