-- Who is resident: on which share of the days on which it could have been seen was each individual seen?
--
-- One row: an individual that was seen, the most resident first.
--
-- Parameters:
--   min_days integer = 1: at least so many days with recordings while it was alive and under study
--   limit integer = 40: at most this many rows
--
-- Topic: presence
-- Chart: bar share_of_days by anim_id
--
-- low, high: Wilson's interval of 95 %, days taken as independent (days in a row are not: the true one is wider).
SELECT
    ranked.place,
    ranked.anim_id,
    ranked.sex,
    ranked.n_days_seen,
    ranked.n_days,
    ranked.share_of_days,
    ranked.low,
    ranked.high
FROM (
    SELECT
        w.anim_id,
        w.sex,
        w.n_days_seen,
        w.n_days,
        w.share_of_days,
        (w.share_of_days + 1.92 / w.n_days - 1.96 * SQRT((w.share_of_days * (1 - w.share_of_days) + 0.96 / w.n_days) / w.n_days))
        / (1 + 3.84 / w.n_days) AS low,
        (w.share_of_days + 1.92 / w.n_days + 1.96 * SQRT((w.share_of_days * (1 - w.share_of_days) + 0.96 / w.n_days) / w.n_days))
        / (1 + 3.84 / w.n_days) AS high,
        ROW_NUMBER() OVER (ORDER BY w.share_of_days DESC, w.anim_id) AS place
    FROM (
        SELECT
            i.anim_id,
            i.sex,
            s.n_days_seen,
            COUNT(*) AS n_days,
            CAST(s.n_days_seen AS FLOAT) / COUNT(*) AS share_of_days
        FROM v_individual_day AS i
        INNER JOIN (
            SELECT
                d.individual_id,
                COUNT(*) AS n_days_seen
            FROM v_seen_day AS d
            GROUP BY d.individual_id
        ) AS s ON s.individual_id = i.individual_id
        INNER JOIN v_sampling_day AS d ON d.day_no >= i.from_day_no AND d.day_no <= i.until_day_no
        GROUP BY i.anim_id, i.sex, s.n_days_seen
        HAVING COUNT(*) >= :min_days
    ) AS w
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
