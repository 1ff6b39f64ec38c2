-- Which orphans were seen, how old were they, and were their siblings with them?
--
-- One row: an orphan in a month in which it was seen after its mother had died or disappeared.
--
-- Parameters:
--   max_age_years number = null: at most this age; null: any age
--
-- Topic: families
SELECT
    m.offspring_anim_id,
    m.offspring_sex,
    m.mother_anim_id,
    b.departdate AS mother_departed,
    m.month,
    m.age_y,
    m.n_videos,
    m.seconds_seen,
    m.sibling_present
FROM v_mother_offspring AS m
INNER JOIN v_biography AS b ON b.individual_id = m.mother_id
WHERE m.orphan = 1 AND (CAST(:max_age_years AS FLOAT) IS NULL OR m.age_y <= CAST(:max_age_years AS FLOAT))
ORDER BY m.offspring_anim_id, m.month
