-- Who came on which day, and how many of those who could have?
--
-- One row: a day.
--
-- Parameters:
--   camera text = null: one camera; null: any
--
-- Topic: presence
-- Chart: line n_present by day
--
-- n_alive: individuals alive and under study. A community's attendance is a condition on comm of v_attendance.
SELECT
    a.day,
    COUNT(DISTINCT a.individual_id) AS n_alive,
    COUNT(DISTINCT CASE WHEN a.present = 1 THEN a.individual_id END) AS n_present,
    CAST(COUNT(DISTINCT CASE WHEN a.present = 1 THEN a.individual_id END) AS FLOAT)
    / COUNT(DISTINCT a.individual_id) AS share_present,
    SUM(a.seconds) AS seconds_visible
FROM v_attendance AS a
WHERE CAST(:camera AS VARCHAR(100)) IS NULL OR a.camera = CAST(:camera AS VARCHAR(100))
GROUP BY a.day
ORDER BY a.day
