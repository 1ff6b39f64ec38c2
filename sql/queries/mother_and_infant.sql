-- How much of its time did an infant spend with its mother, over its first months?
--
-- One row: a month in which the infant was seen.
--
-- Parameters:
--   infant text = FI: AnimID of the infant
--   months integer = 120: up to this age
--
-- Topic: families
-- Chart: line prop_time_together by age_months
--
-- Months of 30.4375 days. prop_time_together: share of its visible seconds at the same moment as its mother.
SELECT
    m.offspring_anim_id,
    m.mother_anim_id,
    m.month,
    m.age_y * 12 AS age_months,
    m.n_videos,
    m.n_videos_together,
    m.seconds_seen,
    m.seconds_together,
    m.prop_time_together,
    m.sibling_present,
    m.orphan
FROM v_mother_offspring AS m
WHERE m.offspring_anim_id = :infant AND m.age_y * 12 <= :months
ORDER BY m.month
