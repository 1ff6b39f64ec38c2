-- Of which age and sex are the animals that cameras see?
--
-- One row: a sex and an age class.
--
-- Parameters:
--   scheme text = gombe: a scheme of the table age_class, gombe or chimp_and_see
--
-- Topic: presence
-- Chart: bar n_sightings by age_class for sex
SELECT
    a.sex,
    a.age_class,
    COUNT(DISTINCT a.individual_id) AS n_individuals,
    COUNT(*) AS n_sightings,
    SUM(a.seconds_visible) AS seconds_visible
FROM v_age_at_sighting AS a
WHERE a.scheme = :scheme
GROUP BY a.sex, a.age_class
ORDER BY a.sex, MIN(a.age_y)
