-- When each camera stood where, as day numbers (those of v_video_day). One row: a deployment.
-- end_day_no is null where the camera is still there.
SELECT
    p.deployment_id,
    p.site,
    p.camera,
    p.start_date,
    p.end_date,
    1461 * (p.start_y + 4800 + (p.start_m - 14) / 12) / 4
    + 367 * (p.start_m - 2 - (p.start_m - 14) / 12 * 12) / 12
    - 3 * ((p.start_y + 4900 + (p.start_m - 14) / 12) / 100) / 4
    + p.start_d - 32075 AS start_day_no,
    1461 * (p.end_y + 4800 + (p.end_m - 14) / 12) / 4
    + 367 * (p.end_m - 2 - (p.end_m - 14) / 12 * 12) / 12
    - 3 * ((p.end_y + 4900 + (p.end_m - 14) / 12) / 100) / 4
    + p.end_d - 32075 AS end_day_no
FROM (
    SELECT
        d.*,
        CAST(SUBSTRING(CAST(d.start_date AS VARCHAR(10)), 1, 4) AS INTEGER) AS start_y,
        CAST(SUBSTRING(CAST(d.start_date AS VARCHAR(10)), 6, 2) AS INTEGER) AS start_m,
        CAST(SUBSTRING(CAST(d.start_date AS VARCHAR(10)), 9, 2) AS INTEGER) AS start_d,
        CAST(SUBSTRING(CAST(d.end_date AS VARCHAR(10)), 1, 4) AS INTEGER) AS end_y,
        CAST(SUBSTRING(CAST(d.end_date AS VARCHAR(10)), 6, 2) AS INTEGER) AS end_m,
        CAST(SUBSTRING(CAST(d.end_date AS VARCHAR(10)), 9, 2) AS INTEGER) AS end_d
    FROM deployment AS d
) AS p
