-- In which months of the year are chimpanzees at the cameras, for each day that cameras recorded?
--
-- One row: a month of the year, all years together.
--
-- Parameters:
--   individual text = null: AnimID; null: everybody
--
-- Topic: presence
-- Chart: line individuals_per_day by month_of_year
SELECT
    e.month_of_year,
    e.n_years,
    e.n_days,
    e.hours_recorded,
    COALESCE(s.n_individual_days, 0) AS n_individual_days,
    CAST(COALESCE(s.n_individual_days, 0) AS FLOAT) / e.n_days AS individuals_per_day,
    CASE WHEN e.hours_recorded > 0 THEN COALESCE(s.seconds_visible, 0) / e.hours_recorded END AS seconds_visible_per_hour
FROM (
    SELECT
        SUBSTRING(d.day, 6, 2) AS month_of_year,
        COUNT(DISTINCT d.year) AS n_years,
        COUNT(*) AS n_days,
        SUM(d.recorded_s) / 3600 AS hours_recorded
    FROM v_sampling_day AS d
    GROUP BY SUBSTRING(d.day, 6, 2)
) AS e
LEFT OUTER JOIN (
    SELECT
        SUBSTRING(w.day, 6, 2) AS month_of_year,
        COUNT(*) AS n_individual_days,
        SUM(w.seconds) AS seconds_visible
    FROM v_seen_day AS w
    WHERE CAST(:individual AS VARCHAR(40)) IS NULL OR w.anim_id = CAST(:individual AS VARCHAR(40))
    GROUP BY SUBSTRING(w.day, 6, 2)
) AS s ON s.month_of_year = e.month_of_year
ORDER BY e.month_of_year
